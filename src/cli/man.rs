//! `taper man`: the manual page, with a section for each subcommand.

use super::{definition, exit::Exit, output::Output};
use clap_mangen::Man;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn execute(_args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    let mut command = definition();
    command.build();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = sub.get_name().to_uppercase();
        page.extend(format!(".SH \"TAPER {name}\"\n").bytes());
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        page.extend(format!("{about}\n").bytes());
        let more = sub.get_after_help().map(|more| format!(".PP\n{more}\n"));
        page.extend(more.unwrap_or_default().bytes());
        render_options(sub, &mut page)?;
    }
    page.extend(EXIT_CODES.bytes());
    output.bytes(&page)?;
    Ok(Exit::Done)
}

/// The options of a subcommand, one step below its own heading.
fn render_options(sub: &clap::Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut section = Vec::new();
    Man::new(sub.clone()).render_options_section(&mut section)?;
    page.extend(String::from_utf8(section)?.replace(".SH ", ".SS ").bytes());
    Ok(())
}

const EXIT_CODES: &str = "\
.SH \"EXIT STATUS\"
.TP\n\\fB0\\fR\ndone
.TP\n\\fB1\\fR\nfailed, none of the below; or a model to be removed is in use
.TP\n\\fB2\\fR\nthe command line or a request is wrong
.TP\n\\fB3\\fR\nno such model, file, quantization or revision; or not in the cache while offline
.TP\n\\fB4\\fR\nthe network or the Hub failed, after retries
.TP\n\\fB5\\fR\naccess denied: gated or private, or the token is bad
.TP\n\\fB6\\fR\na file is damaged, malformed or not supported, or not what is pinned
.TP\n\\fB7\\fR\nnot enough disk or memory, or no such device
.TP\n\\fB8\\fR\nthe prompt does not fit the context
.TP\n\\fB9\\fR\nthe output is not what was demanded (--require-stop)
.TP\n\\fB10\\fR\nslower than allowed (bench --baseline)
.TP\n\\fB130\\fR\ninterrupted
";
