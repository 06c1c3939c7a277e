//! The chat page in a browser, where there is one.

use std::process::Command;

#[test]
fn the_chat_page_works_by_keyboard_in_light_and_dark_and_for_screen_readers() {
    let is_there =
        |name: &str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_there(name));
    let (Some(browser), true, true) = (browser, is_there("chromedriver"), is_there("python3")) else {
        eprintln!("skipped: no chromium, chromedriver or python3");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/page.py");
    let output = Command::new("python3").args([script, env!("CARGO_BIN_EXE_taper"), browser]).output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{told}");
}
