"""Takes the picture of a report that the README shows: trains on the zoo and photographs the page with Chromium.

python docs/draw_report.py
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

PICTURE = Path(__file__).parent / "pictures" / "report.png"


def main() -> None:
    """Write the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no chromium: install it, or leave the picture as it is.")
    PICTURE.parent.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        train = [sys.executable, "-m", "polylogit", "train", "zoo", "--report", str(page)]
        subprocess.run([*train, "--out", str(Path(folder) / "model.safetensors")], check=True)  # noqa: S603
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1000,1250"]
        subprocess.run([chromium, *flags, f"--screenshot={PICTURE}", page.as_uri()], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
