"""Runs a page in headless Chromium, with a script of the test's own in it."""

import html
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run --virtual-time-budget=30000 --dump-dom"
)
WATCH = """<script>
const faults = [];
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => faults.push("blocked " + event.blockedURI));
for (const [owner, name] of [[console, "error"], [console, "warn"], [window, "alert"]])
  owner[name] = (text) => faults.push(name + ": " + text);
</script>"""
REPORT = """<script>(async () => {
  let result, fault = null;
  try { result = await (async () => { %s })(); } catch (error) { fault = String(error.stack); }
  const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = JSON.stringify({ result, fault, faults, requests });
  document.body.append(report);
})();</script>"""


def run(page, script, folder, *, size=(1600, 900), calm=True):
    """What the script returns, after the page's own scripts ran.

    Fails if anything threw, wrote to the console as an error or warning, or asked the network for anything.
    """
    path = folder / "page.html"
    path.write_text(page.replace("<style>", f"{WATCH}<style>", 1) + REPORT % script, encoding="utf-8")
    flags = [*FLAGS.split(), f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"]
    flags += ["--force-prefers-reduced-motion"] if calm else []
    done = subprocess.run([CHROMIUM, *flags, path.as_uri()], capture_output=True, encoding="utf-8", timeout=120)
    found = re.search(r'<pre id="report">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page wrote no report\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    report = json.loads(html.unescape(found[1]))
    assert (report["fault"], report["faults"], report["requests"]) == (None, [], [])
    return report["result"]


def print_page(page, folder):
    """The page as a PDF."""
    path, printed = folder / "page.html", folder / "page.pdf"
    path.write_text(page, encoding="utf-8")
    flags = [flag for flag in FLAGS.split() if flag != "--dump-dom"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer", f"--print-to-pdf={printed}"]
    subprocess.run([CHROMIUM, *flags, path.as_uri()], capture_output=True, timeout=120, check=True)
    return printed.read_bytes()
