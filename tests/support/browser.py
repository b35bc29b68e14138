"""A browser without a window, driven as a user would: the W3C's WebDriver protocol, which chromedriver speaks.

Clicks and keys are the browser's own: what is covered or hidden cannot be clicked.
"""

import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
# A browser is a package of the system's, which scripts/test cannot install; the last lines of a run say so.
needs_driver = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no chromium with chromedriver: sbvi-compare's page was not clicked"
)
WORDS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
#: Under which the protocol hands an element out.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, SPACE = "\ue007", " "


class Page:
    def __init__(self, driver, session):
        self.root = f"{driver}/session/{session}"

    def click(self, path):
        """Of the first element of an XPath."""
        self._post(f"element/{self._element(path)}/click", {})

    def press(self, path, keys):
        self._post(f"element/{self._element(path)}/value", {"text": keys})

    def run(self, script):
        """What JavaScript returns."""
        return self._post("execute/sync", {"script": script, "args": []})

    def narrow(self, width, height):
        """A telephone's screen, with the colours that it asks for in the dark."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self._post("goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": screen})
        dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        self._post("goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": dark})

    def _element(self, path):
        return self._post("element", {"using": "xpath", "value": path})[ELEMENT]

    def _post(self, what, content):
        return _post(f"{self.root}/{what}", content)


def _post(url, content):
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]["message"]) from None


@contextlib.contextmanager
def opened(file, profile):
    """A page of a file. profile: a folder for what the browser keeps."""
    words = [DRIVER, "--port=0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            port = (
                next(line for line in process.stdout if "successfully on port " in line)
                .rsplit(" ", 1)[1]
                .strip()
                .rstrip(".")
            )
            driver = f"http://127.0.0.1:{port}"
            chrome = {"binary": CHROMIUM, "args": [*WORDS, f"--user-data-dir={profile}"]}
            wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": chrome}}}
            page = Page(driver, _post(f"{driver}/session", wanted)["sessionId"])
            try:
                page._post("url", {"url": f"file://{file}"})
                yield page
            finally:
                leaving = urllib.request.Request(page.root, method="DELETE")
                urllib.request.urlopen(leaving, timeout=60).close()
        finally:
            process.terminate()
