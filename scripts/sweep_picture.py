#!/usr/bin/env python3
"""docs/sweep.png: TensorBoard's parallel coordinates over a real sweep, as a browser shows them.

    scripts/sweep_picture.py [--sweep DIR]

Trains a small sweep on the digits (three rates, two seeds, and a job that fails) unless one is given,
starts TensorBoard on it, and takes the picture in headless Chromium. Needs Debian's chromium and
chromium-driver, and `pip install selenium`; nothing else in the project does.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "sweep.png"
SWEEP = (
    "optimizer.learning_rate=3e-4,1e-3,3e-3,1e30",
    "objective.num_samples=1",
    "seed=0,1",
    "model.latents=[10],[50]",
    "trainer.steps=1500",
    "evaluation.num_samples=100",
    "hydra/launcher=sbvi",
)

# The tabs live in shadow roots, where no selector reaches.
FIND = """
const wanted = arguments[0];
function walk(node) {
  for (const child of node.querySelectorAll('*')) {
    if (child.tagName === 'PAPER-TAB' && child.textContent.toLowerCase().includes(wanted)) return child;
    if (child.shadowRoot) { const tab = walk(child.shadowRoot); if (tab) return tab; }
  }
  return null;
}
return walk(document);
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(question, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if answer := question():
                return answer
        time.sleep(0.5)
    sys.exit("TensorBoard did not show the sweep in time.")


def photograph(folder):
    from selenium import webdriver
    from selenium.webdriver.common.by import By

    port = free_port()
    board = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port), "--load_fast=false"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,900", "--hide-scrollbars"):
        options.add_argument(word)
    try:
        address = f"http://127.0.0.1:{port}/"
        wait_for(lambda: urllib.request.urlopen(address, timeout=2).status == 200)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            browser.get(f"{address}#hparams")
            tab = wait_for(lambda: browser.execute_script(FIND, "parallel"))
            browser.execute_script("arguments[0].click()", tab)
            time.sleep(5)  # the lines are drawn by a transition
            assert browser.find_element(By.TAG_NAME, "body")
            PICTURE.write_bytes(browser.get_screenshot_as_png())
        finally:
            browser.quit()
    finally:
        board.terminate()
        board.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sweep = given.sweep or Path(folder) / "sweep"
        if given.sweep is None:
            words = ["--multirun", *SWEEP, f"hydra.sweep.dir={sweep}"]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, "-m", "sbvi.cli.train", *words], cwd=folder, env=environment)
        photograph(sweep)
    print(f"written: {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
