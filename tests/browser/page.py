"""The chat page in headless Chromium, driven over WebDriver: keyboard, stream, stop, system prompt, light, dark, narrow, and
what screen readers get.

usage: python3 page.py TAPER_BINARY [CHROMIUM [FOLDER_FOR_SCREENSHOTS]]      needs: chromedriver, nothing else
"""
import base64, json, pathlib, shutil, socket, subprocess, sys, tempfile, time, urllib.error, urllib.request

BINARY, CHROMIUM = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "chromium"
SHOTS = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=900,800"]
ENTER, ESCAPE, TAB, SHIFT = "\ue007", "\ue00c", "\ue004", "\ue008"


class Browser:
    """A session of WebDriver."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        wait("chromedriver", lambda: self.call("GET", "/status")["ready"])
        options = {"binary": shutil.which(CHROMIUM), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        self.session = ""
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.session = f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            return json.load(urllib.request.urlopen(request, timeout=60))["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def post(self, path, **body):
        return self.call("POST", self.session + path, body)

    def script(self, text, *args):
        return self.post("/execute/sync", script=text, args=list(args))

    def devtools(self, command, **params):
        return self.post("/goog/cdp/execute", cmd=command, params=params)

    def keys(self, *keys):
        """Presses keys one after the other; a tuple is pressed together."""
        actions = []
        for key in keys:
            together = key if isinstance(key, tuple) else (key,)
            actions += [{"type": "keyDown", "value": key} for key in together]
            actions += [{"type": "keyUp", "value": key} for key in reversed(together)]
        self.post("/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def text(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def shot(self, name):
        if SHOTS:
            SHOTS.mkdir(parents=True, exist_ok=True)
            (SHOTS / f"{name}.png").write_bytes(base64.b64decode(self.call("GET", self.session + "/screenshot")))


def wait(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except (OSError, urllib.error.URLError):
            pass
        if time.monotonic() > end:
            raise AssertionError(f"waited for {what}")
        time.sleep(0.02)


def contrast(browser, selector):
    """Of the text of an element and what is behind it, as WCAG counts it."""
    return browser.script(
        """
        const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                                return canvas.getImageData(0, 0, 1, 1).data; };
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        let behind = document.querySelector(arguments[0]);
        const text = light(rgb(getComputedStyle(behind).color));
        while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
        const paper = light(rgb(getComputedStyle(behind).backgroundColor));
        return (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
        """, selector)


def accessible(browser):
    """What screen readers are told: (role, name) of all that is not ignored."""
    nodes = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    return {(node["role"]["value"], node.get("name", {}).get("value", "")): node for node in nodes if not node["ignored"]}


def properties(node):
    return {item["name"]: item["value"].get("value") for item in node.get("properties", [])}


def ask(browser, text):
    """Asks by keyboard and waits for the end of the answer."""
    browser.keys(*text, ENTER)
    wait("the end of the answer", lambda: browser.text("#status")[0].split(":")[0] in ("Done", "Failed"))


def converse(browser):
    wait("the name of the model", lambda: browser.text("#model") == ["demo"])
    assert browser.script("return document.activeElement.id") == "prompt", "the page begins where one writes"
    browser.shot("empty-light")
    ask(browser, "exit code 5")
    assert browser.text("article.user") == ["exit code 5"], browser.text("article.user")
    assert "access denied" in browser.text("article.model .answer")[0], browser.text("article.model")
    assert "tokens per second" in browser.text("article.model .facts")[0]
    assert "tokens per second" in browser.text("#status")[0], browser.text("#status")
    assert browser.script("return document.activeElement.id") == "prompt", "and is there again after the answer"

    browser.keys(*"one", (SHIFT, ENTER), *"two")
    assert browser.script("return document.getElementById('prompt').value") == "one\ntwo"
    browser.script("document.getElementById('prompt').value = ''")


def stream_and_stop(browser):
    """Slows an answer down, sees it grow, and stops it with Escape, then another with the button."""
    browser.script(
        """
        const real = window.fetch;
        // Also what has arrived already comes slowly, and no more of it after the answer is stopped; soon so slowly that no
        // answer ends before a busy machine gets to stopping it.
        const slowly = (signal, n_events = 0) => new TransformStream({
            start(controller) {
                signal.addEventListener("abort", () => controller.error(signal.reason));
            },
            async transform(chunk, controller) {
                for (const event of new TextDecoder().decode(chunk).split(/(?<=\\n\\n)/)) {
                    await new Promise(resolve => setTimeout(resolve, n_events++ < 10 ? 80 : 1000));
                    controller.enqueue(new TextEncoder().encode(event));
                }
            }
        });
        window.asked = [];
        window.fetch = async (url, options) => {
            if (options?.body) window.asked.push(JSON.parse(options.body));
            const response = await real(url, options);
            return window.slow ? new Response(response.body.pipeThrough(slowly(options.signal)), response) : response;
        };
        window.slow = true;
        """)
    browser.keys(*"how do I add a file to the prompt?", ENTER)
    answer = lambda: (browser.text("article.model .answer") or [""])[-1]
    first = wait("the beginning of an answer", lambda: browser.script("return document.querySelectorAll('article.model').length") == 2 and answer())
    wait("more of it", lambda: len(answer()) > len(first))
    assert browser.script("return document.getElementById('log').ariaBusy") == "true"
    assert browser.script("return document.getElementById('stop').disabled") is False
    browser.shot("streaming-light")
    browser.keys(ESCAPE)
    wait("the end", lambda: browser.text("#status")[0].startswith("Stopped"))
    stopped = answer()
    time.sleep(0.3)
    assert answer() == stopped and browser.script("return document.getElementById('log').ariaBusy") == "false"

    browser.keys(*"exit code 5", ENTER)
    wait("another answer", lambda: browser.script("return document.querySelectorAll('article.model').length") == 3 and answer())
    browser.script("document.getElementById('stop').focus()")
    browser.keys(ENTER)
    wait("the end", lambda: browser.text("#status")[0].startswith("Stopped"))
    browser.script("window.slow = false")


def system_prompt(browser):
    browser.script("document.querySelector('summary').focus()")
    browser.keys(ENTER, TAB, *"You are brief.", TAB, TAB)
    assert browser.script("return document.activeElement.id") == "prompt"
    ask(browser, "exit code 5")
    messages = browser.script("return window.asked.at(-1).messages")
    assert messages[0] == {"role": "system", "content": "You are brief."}, messages
    assert [m["role"] for m in messages[1:]] == ["user", "assistant"] * 3 + ["user"], messages
    browser.shot("system-light")


def markup_is_text(browser):
    browser.script("show(part(entry('model', ''), 'answer'), 'a <b>c</b>\\n```sh\\nls <x>\\n```\\nend')")
    assert browser.script("return document.querySelectorAll('#log b').length") == 0
    assert browser.text("article:last-child pre") == ["ls <x>"] and browser.text("article:last-child p") == ["a <b>c</b>", "end"]


def for_screen_readers(browser):
    tree = accessible(browser)
    for role, name in [("main", "Conversation"), ("log", "Messages"), ("form", "Message"), ("textbox", "Message"),
                       ("button", "Send"), ("button", "Stop"), ("button", "New chat"), ("article", "You"),
                       ("article", "Model"), ("heading", "taper"), ("textbox", "System prompt, for all that follows"),
                       ("textbox", "API key, if this server asks for one")]:
        assert any(r == role and n.startswith(name) for r, n in tree), (role, name, sorted(tree))
    assert properties(tree[("log", "Messages")]).get("live") == "polite"
    assert any(role == "status" and properties(node).get("live") == "polite" for (role, _), node in tree.items())
    message = tree[("textbox", "Message")]
    assert "Escape stops" in message["description"]["value"], message
    unnamed = [role for role, name in tree if role in ("button", "textbox", "link") and not name]
    assert not unnamed, unnamed


def looks(browser):
    papers = []
    for scheme in ("light", "dark"):
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        papers.append(browser.script("return getComputedStyle(document.body).backgroundColor"))
        for selector in ("article.user", ".answer p", ".facts", "#model", "label", "#send", "#status", "summary"):
            assert contrast(browser, selector) >= 4.5, (scheme, selector, contrast(browser, selector))
        browser.shot(scheme)
    assert papers[0] != papers[1], papers
    browser.devtools("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=2, mobile=True)
    wide = browser.script("return document.documentElement.scrollWidth")
    assert wide <= 360, f"{wide} pixels where there are 360"
    browser.script("document.getElementById('more').open = false")
    browser.shot("narrow-dark")
    browser.devtools("Emulation.clearDeviceMetricsOverride")


def nothing_from_elsewhere(browser, url):
    loaded = browser.script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(name.startswith((url, "data:")) for name in loaded), loaded


def with_key(browser, url):
    browser.post("/url", url=url)
    wait("the question for a key", lambda: browser.text("#model") == ["needs a key"])
    assert browser.script("return document.getElementById('more').open")
    browser.keys(*"hello", ENTER)
    wait("the refusal", lambda: browser.text("#status") == ["Failed"])
    assert "no API key" in browser.text("article.error")[0]
    assert browser.script("return document.activeElement.id") == "key"
    browser.keys(*"sesame", TAB)
    wait("the name of the model", lambda: browser.text("#model") == ["demo"])
    assert browser.script("return document.getElementById('prompt').value") == "hello", "what was not answered is kept"
    browser.keys(ENTER)
    wait("the answer", lambda: browser.text("#status")[0].startswith("Done"))


def serve(*flags):
    server = subprocess.Popen([BINARY, "serve", "-m", "demo", "--port", "0", *flags], stdout=subprocess.PIPE, text=True)
    return server, server.stdout.readline().strip()


def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "keys").write_text("sesame\n")
    processes = [subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)]
    browser = None
    try:
        server, url = serve()
        processes.append(server)
        browser = Browser(port, folder / "profile")
        browser.post("/url", url=url)
        converse(browser)
        stream_and_stop(browser)
        system_prompt(browser)
        markup_is_text(browser)
        for_screen_readers(browser)
        looks(browser)
        nothing_from_elsewhere(browser, url)
        server, url = serve("--api-key-file", str(folder / "keys"))
        processes.append(server)
        with_key(browser, url)
        print("the page works")
    finally:
        if browser:
            browser.call("DELETE", browser.session)
        for process in processes:
            process.terminate()
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


main()
