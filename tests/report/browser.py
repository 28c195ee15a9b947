"""Opens a page in a headless Chromium, uses it as people do, and prints what was seen as JSON.

    browser.py PAGE LARGE_PAGE FOLDER

Everything that the browser keeps is in FOLDER.
"""

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

# The contrast of every text with what is behind it, as WCAG 2 counts it; the worst of each colour pair.
CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const rgb = parse(getComputedStyle(at).backgroundColor);
    if (rgb.length < 4 || rgb[3] > 0) return rgb;
  }
  return [255, 255, 255];
};
const found = {};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
  const front = getComputedStyle(element).color;
  const back = behind(element);
  const [a, b] = [light(parse(front)), light(back)].sort((x, y) => y - x);
  found[front + " on " + back.join(",")] = (a + 0.05) / (b + 0.05);
}
return found;
"""

VISIBLE = "return [...document.querySelectorAll('#%s .item')].filter((i) => i.getClientRects().length).map((i) => i.id)"


class Browser:
    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self.session = ""
        self.wait_for_driver()
        options = {"args": [*ARGUMENTS, f"--user-data-dir={folder}/profile", "--window-size=1280,900"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}}
        self.session = "/session/" + self.call("POST", "/session", wanted)["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with self.http.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:2000]) from error

    def wait_for_driver(self):
        for _ in range(300):
            try:
                if self.call("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("chromedriver does not answer")

    def open(self, url):
        self.call("POST", self.session + "/url", {"url": "about:blank"})
        self.call("POST", self.session + "/url", {"url": url})

    def run(self, script):
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": []})

    def devtools(self, command, **parameters):
        return self.call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        return self.call("POST", self.session + "/se/log", {"type": kind})

    def find(self, selector):
        found = self.call("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return self.session + "/element/" + next(iter(found.values()))

    def click(self, selector):
        # What sticks to the top of the page would stand before it.
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        self.call("POST", self.find(selector) + "/click", {})

    def type(self, selector, text):
        self.call("POST", self.find(selector) + "/value", {"text": text})

    def screen(self, width, height, scheme):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def close(self):
        try:
            if self.session:
                self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()


def searched(browser, text):
    browser.run("const f = document.getElementById('find'); f.value = ''; f.dispatchEvent(new Event('input'))")
    browser.type("#find", text)
    time.sleep(0.4)
    return {section: browser.run(VISIBLE % section) for section in ["hosts", "checks", "vulnerabilities", "packages"]}


def unfold(browser):
    for section in ["hosts", "checks", "vulnerabilities", "packages"]:
        browser.click(f"#{section} .all")


def look(browser, page):
    seen = {}
    browser.screen(1280, 900, "light")
    # What the browser's own first page asked for.
    browser.open("about:blank")
    browser.log("browser"), browser.log("performance")
    browser.open(page)
    seen["title"] = browser.run("return document.title")
    seen["folded"] = browser.run("return [...document.querySelectorAll('.more')].filter((m) => m.getClientRects().length).length")

    # By keyboard alone: the first row unfolds, and folds again.
    browser.run("document.querySelector('#hosts .fold').focus()")
    state = "return document.querySelector('#hosts .fold').getAttribute('aria-expanded')"
    seen["unfolding"] = [browser.run(state)]
    for _ in range(2):
        browser.call("POST", browser.session + "/actions", {"actions": [{"type": "key", "id": "k", "actions": [
            {"type": "keyDown", "value": "\ue007"}, {"type": "keyUp", "value": "\ue007"}]}]})
        seen["unfolding"].append(browser.run(state))

    seen["sorted"] = []
    for column in (3, 3, 1):
        browser.click(f"#hosts thead th:nth-child({column}) button")
        order = "return [...document.querySelectorAll('#hosts .item')].map((i) => i.id.slice(5))"
        said = f"return document.querySelector('#hosts thead th:nth-child({column})').getAttribute('aria-sort')"
        seen["sorted"].append({"aria": browser.run(said), "hosts": browser.run(order)})

    browser.click("#vulnerabilities thead th:nth-child(2) button")
    seen["worst_first"] = browser.run(
        "return [...document.querySelectorAll('#vulnerabilities .item > tr:first-child > td:nth-child(2) .b:first-child')].map((b) => b.textContent)"
    )
    seen["found_cve"] = searched(browser, "cve-2024-3094")
    seen["found_two_words"] = searched(browser, "ssh root")
    seen["found_nothing"] = searched(browser, "there is no such thing")
    seen["said_nothing"] = browser.run("return [...document.querySelectorAll('.nothing')].filter((n) => n.getClientRects().length).length")
    # A link to what the search hides shows it.
    browser.run("location.hash = '#host-alpine-1'")
    time.sleep(0.3)
    seen["arrived"] = browser.run(
        "const i = document.getElementById('host-alpine-1');"
        "return {open: i.classList.contains('open'), seen: i.getClientRects().length > 0, search: document.getElementById('find').value}"
    )
    browser.click("#only")
    seen["problems"] = browser.run(VISIBLE % "hosts")
    browser.click("#only")
    unfold(browser)
    seen["text"] = browser.run("return document.body.innerText")
    seen["elements"] = browser.run(
        "const n = {}; for (const e of document.querySelectorAll('*')) n[e.localName] = (n[e.localName] || 0) + 1; return n"
    )
    seen["handlers"] = browser.run(
        "return [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).map((a) => a.name).filter((n) => /^(on|style$)/.test(n))"
    )
    seen["links"] = browser.run("return [...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
    seen["dead_links"] = browser.run(
        "return [...document.querySelectorAll('a')].map((a) => a.getAttribute('href')).filter((h) => !document.getElementById(h.slice(1)))"
    )
    seen["ids_twice"] = browser.run(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.filter((id, at) => ids.indexOf(id) !== at)"
    )
    seen["contrast"] = {"light": browser.run(CONTRAST)}

    for scheme in ("light", "dark"):
        browser.screen(390, 844, scheme)
        browser.open(page)
        unfold(browser)
        seen[f"narrow_{scheme}"] = browser.run(
            "return {page: document.documentElement.scrollWidth - document.documentElement.clientWidth,"
            " tables: [...document.querySelectorAll('.scroll')].map((s) => s.scrollWidth - s.clientWidth)}"
        )
    browser.screen(1280, 900, "dark")
    seen["contrast"]["dark"] = browser.run(CONTRAST)

    browser.devtools("Emulation.setEmulatedMedia", media="print", features=[])
    seen["print"] = browser.run(
        "const shown = (s) => [...document.querySelectorAll(s)].filter((e) => e.getClientRects().length).length;"
        "return {more: shown('.more'), items: shown('.item'), tools: shown('.tools'), buttons: shown('thead button'), heads: shown('thead .printed'),"
        " gaps: document.querySelector('.gaps li').checkVisibility({contentVisibilityAuto: true})}"
    )
    pdf = base64.b64decode(browser.devtools("Page.printToPDF", preferCSSPageSize=True)["data"])
    seen["pdf"] = pdf[:5].decode("latin-1")

    # Its own script and style ran; others, put in as an attacker would, do not.
    browser.screen(1280, 900, "light")
    browser.open(page)
    requests = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    seen["requests"] = sorted({url.split("#")[0] for url in urls})
    seen["console"] = [entry["message"] for entry in browser.log("browser")]
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'document.title = \"owned\"'; document.head.append(s);"
        "const t = document.createElement('style'); t.textContent = 'body { display: none }'; document.head.append(t);"
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    time.sleep(0.3)
    seen["refused"] = [entry["message"] for entry in browser.log("browser")]
    seen["still"] = browser.run("return [document.title, getComputedStyle(document.body).display]")

    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    seen["without_script"] = browser.run(
        "const shown = (s) => [...document.querySelectorAll(s)].filter((e) => e.getClientRects().length).length;"
        "return {more: shown('.more'), items: shown('.item'), search: shown('.search'), sort: shown('.sort'), all: shown('.all')}"
    )
    browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
    return seen


def look_at_large(browser, page):
    browser.screen(1280, 900, "light")
    begun = time.monotonic()
    browser.open(page)
    seen = {"items": browser.run("return document.querySelectorAll('.item').length"), "opened_s": time.monotonic() - begun}
    measure = (
        "const at = performance.now(); {}; document.body.getBoundingClientRect(); return performance.now() - at"
    )
    find = "const f = document.getElementById('find'); f.value = 'web-007'; f.form.requestSubmit()"
    seen["first_search_ms"] = browser.run(measure.format(find))
    seen["search_ms"] = browser.run(measure.format(find))
    seen["found"] = len(browser.run(VISIBLE % "hosts"))
    browser.run("const f = document.getElementById('find'); f.value = ''; f.form.requestSubmit()")
    seen["sort_ms"] = browser.run(measure.format("document.querySelector('#packages thead th:nth-child(4) button').click()"))
    return seen


def main():
    page, large, folder = sys.argv[1:4]
    browser = Browser(folder)
    try:
        seen = look(browser, f"file://{page}")
        seen["large"] = look_at_large(browser, f"file://{large}")
    finally:
        browser.close()
    json.dump(seen, sys.stdout)


main()
