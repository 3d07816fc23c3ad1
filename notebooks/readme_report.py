"""Draw the README's picture of a report anew, in Chromium.

    python notebooks/readme_report.py [FOLDER]

writes ``report.png`` into FOLDER, by default ``figures`` beside this file. It needs Chromium, its
chromedriver, and selenium.
"""

import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from rtosheap import data, report

SIZE = 74 * 1024  # less than serves: some allocations fail
READY = "return document.body.dataset.ready"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "figures")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,2600"):
        options.add_argument(argument)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        report(data.days("gateway")[1], heaps=["heap_4"], heap_size=SIZE).save(page)
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        browser.get(page.as_uri())
        while not browser.execute_script(READY):
            time.sleep(0.1)
        browser.find_element(By.CSS_SELECTOR, "#by option[value=task]").click()
        time.sleep(1)
        path = folder / "report.png"
        browser.find_element(By.TAG_NAME, "section").screenshot(str(path))
        browser.quit()
        print(path)


if __name__ == "__main__":
    main()
