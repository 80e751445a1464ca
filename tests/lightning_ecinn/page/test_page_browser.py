"""The page in a real browser, without a window: what one does, and what is seen then."""

import html
import io
import shutil
import time

import numpy as np
import pytest
import torch
from driven import canvas, click, drag, find, opened, path_to, shows, step, text, until
from PIL import Image
from small_page import data_of, decoded, explainer, pictures
from test_page_document import HOSTILE

from lightning_ecinn.page import counterfactual_page, write_page

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs Chromium and its chromedriver"
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
]  # fmt: skip
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "enter": "\ue007",
        "end": "\ue010", "home": "\ue011"}  # fmt: skip
NAMES = ["ant", "bee", HOSTILE[0], "dog"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page():
    """Of four images, one of each class; to the class "dog" there is no step."""
    model = explainer((3, 8, 8), num_classes=4, names=NAMES)
    model.classifier.class_counts[3] = 0
    images = pictures(3, (3, 8, 8), 4)
    return counterfactual_page(model, images, labels=[0, 1, 1], names=HOSTILE[:3], frames=8)


@pytest.fixture(scope="module")
def data(page):
    return data_of(page)


@pytest.fixture(scope="module")
def place(page, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "page.html", page)


@pytest.fixture
def at(browser, place):
    """The page, just opened; whatever was done, nothing was written to the console."""
    opened(browser, place)
    yield browser
    assert browser.get_log("browser") == []


def test_dragging_moves_everything_together(at, data):
    path = path_to(data, 0, 1)
    click(at, '[data-class="1"] input')
    until(lambda: step(at) == path["marks"]["convincing"])
    for frame in (0, 3, path["marks"]["tipping"], len(path["alphas"]) - 1):
        drag(at, "#step", frame)
        shows(at, path, frame)


def test_it_works_inside_a_notebook(browser, page, data, tmp_path):
    """In the frame that a notebook shows, as wide as its column."""
    (tmp_path / "notebook.html").write_text(f"<p id=status>above</p>{page._repr_html_()}")
    opened(browser, tmp_path / "notebook.html", width=1000)
    browser.switch_to.frame(find(browser, "iframe"))
    path = path_to(data, 0, 1)
    until(lambda: text(browser, "#status"))
    click(browser, '[data-class="1"] input')
    drag(browser, "#step", 3)
    shows(browser, path, 3)
    assert browser.get_log("browser") == []


def test_arrow_keys_move_the_step(at, data):
    path = path_to(data, 0, 1)
    click(at, '[data-class="1"] input')
    slider = find(at, "#step")
    slider.send_keys(KEYS["home"])
    shows(at, path, 0)
    slider.send_keys(KEYS["right"], KEYS["right"])
    shows(at, path, 2)
    slider.send_keys(KEYS["left"])
    shows(at, path, 1)
    assert "classified as" in slider.get_attribute("aria-valuetext")
    at.execute_script("document.activeElement.blur()")
    find(at, "body").send_keys(KEYS["right"])
    shows(at, path, 2)


def test_play_goes_to_the_end_and_can_be_paused(at, data):
    path = path_to(data, 0, 1)
    click(at, '[data-class="1"] input')
    drag(at, "#step", 0)
    click(at, "#play")
    assert find(at, "#play").get_attribute("aria-label") == "Pause"
    until(lambda: step(at) >= 2)
    click(at, "#play")
    stopped = step(at)
    time.sleep(0.2)
    assert step(at) == stopped
    drag(at, "#step", len(path["alphas"]) - 3)
    click(at, "#play")
    until(lambda: find(at, "#play").get_attribute("aria-label") == "Play")
    shows(at, path, len(path["alphas"]) - 1)


def test_marks_lead_to_their_frames_and_say_what_they_mean(at, data):
    click(at, '[data-class="1"] input')
    path = path_to(data, 0, 1)
    until(lambda: step(at) == path["marks"]["convincing"])
    for name, words in {
        "tipping": "equally likely here", "star": "no class is likelier than",
        "certified": "with at least 90\xa0%", "convincing": "well past the tipping point",
    }.items():  # fmt: skip
        frame = path["marks"][name]
        click(at, f'#marks [data-frame="{frame}"]')
        assert step(at) == frame
        assert words in text(at, "#meaning")


def test_marks_stand_over_the_thumb(at, data):
    click(at, '[data-class="1"] input')
    slider = find(at, "#step").rect
    last = len(path_to(data, 0, 1)["alphas"]) - 1
    for mark in at.find_elements("css selector", "#marks button"):
        share = int(mark.get_attribute("data-frame")) / last
        middle = mark.rect["x"] + mark.rect["width"] / 2
        assert middle == pytest.approx(slider["x"] + 11 + share * (slider["width"] - 22), abs=1.5)


def test_the_wiper_wipes(at):
    def shot(css):
        return np.array(Image.open(io.BytesIO(find(at, css).screenshot_as_png)).convert("RGB"))

    after, before = shot("#counterfactual").astype(int), shot("#input").astype(int)
    drag(at, "#wiper", 50)
    wiped = shot("#counterfactual").astype(int)
    half, edge = wiped.shape[1] // 2, 12
    assert np.array_equal(
        wiped[60:-edge, half + edge : -edge], after[60:-edge, half + edge : -edge]
    )
    small = np.array(Image.fromarray(wiped.astype("uint8")).resize(before.shape[1::-1]))
    quarter = small.shape[1] // 2 - edge
    rows = slice(40, -edge)
    assert np.abs(small[rows, edge:quarter] - before[rows, edge:quarter]).mean() < 6
    assert np.abs(after[rows, edge:quarter] - wiped[rows, edge:quarter]).mean() > 6
    assert find(at, "#divider").is_displayed()
    drag(at, "#wiper", 0)
    assert not find(at, "#divider").is_displayed()


def test_the_heatmap_has_three_modes(at):
    assert find(at, "#change").is_displayed()
    click(at, "[value=over]")
    assert find(at, "#overlay").is_displayed()
    assert not find(at, "#change").is_displayed()
    assert canvas(at, "overlay").any()
    click(at, "[value=off]")
    assert not find(at, "#overlay").is_displayed()
    assert not find(at, "#change").is_displayed()


def test_another_image_and_another_class(at, data):
    click(at, '[name=image][value="2"]')
    until(lambda: "to" in text(at, "#status") and HOSTILE[2] in text(at, "#status"))
    source = data["images"][2]["source"]
    assert not find(at, f'[data-class="{source}"] input').is_enabled()
    assert text(at, f'[data-class="{source}"] .tag') == "input"
    assert torch.equal(canvas(at, "input"), decoded(data["images"][2]["picture"]))
    path = path_to(data, 2, 0)
    click(at, '[data-class="0"] input')
    until(lambda: "ant" in text(at, "#status").split("to")[1])
    shows(at, path, path["marks"]["convincing"])


def test_a_pair_without_a_step_says_so(at):
    assert text(at, '[data-class="3"] .tag') == "no step"
    click(at, '[data-class="3"] input')
    until(lambda: "No step leads from ant to dog." in text(at, "#meaning"))
    assert not find(at, "#step").is_enabled()
    assert "no step leads from ant to dog" in text(at, "#cards")


def test_certificates_in_plain_words(at, data):
    click(at, '[data-class="1"] input')
    convincing, certified = at.find_elements("css selector", "#cards .card")
    path = path_to(data, 0, 1)
    for card, name in ((convincing, "convincing"), (certified, "certified")):
        reason = path["reasons"][name]
        assert (f"It does not hold: {reason}." if reason else "It holds:") in card.text


def test_an_image_can_have_a_class_that_it_is_shown_with_first(browser, tmp_path):
    model, images = explainer((3, 8, 8), num_classes=4, names=NAMES), pictures(2, (3, 8, 8), 4)
    page = counterfactual_page(model, images, first=[3, "dog"], names=["one", "two"], frames=3)
    opened(browser, write_page(tmp_path / "first.html", page))
    for i, name in enumerate(("one", "two")):
        click(browser, f'[name=image][value="{i}"]')
        until(lambda name=name: text(browser, "#input-caption bdi") == name)
        assert find(browser, '[data-class="3"] input').is_selected()
        click(browser, '[data-class="2"] input')


def column(browser, number):
    return browser.execute_script(
        "return [...document.querySelectorAll('#rows tr')].map("
        "(row) => row.children[arguments[0]].textContent)", number,
    )  # fmt: skip


@pytest.mark.parametrize(("key", "number"), [("alpha", 3), ("logP", 5), ("distance", 6)])
def test_the_table_is_sorted(at, key, number):
    click(at, f'[data-key="{key}"]')
    shown = column(at, number)
    values = [float(value.replace("\u2212", "-")) for value in shown if value != "–"]
    assert len(values) == 6
    assert shown[6:] == ["–"] * 3
    assert values == sorted(values)
    assert find(at, "#columns [aria-sort=ascending]").text.startswith(
        {"alpha": "Step α", "logP": "log p", "distance": "Distance"}[key]
    )
    click(at, f'[data-key="{key}"]')
    assert column(at, number)[:6] == shown[5::-1]
    click(at, '[data-key="valid"]')
    assert column(at, 7)[6:] == ["no step"] * 3


def test_from_the_table_to_a_pair(at, data):
    at.execute_script(
        "const select = document.getElementById('table-step'); select.value = 'tipping';"
        "select.dispatchEvent(new Event('change'))"
    )
    click(at, "#rows tr:nth-child(4)")
    path = path_to(data, 1, 0)
    until(lambda: step(at) == path["marks"]["tipping"])
    shows(at, path, path["marks"]["tipping"])
    assert at.switch_to.active_element.get_attribute("id") == "step"
    first = find(at, "#rows button")
    first.send_keys(KEYS["down"])
    at.switch_to.active_element.send_keys(KEYS["enter"])
    path = path_to(data, 0, 2)
    until(lambda: step(at) == path["marks"]["tipping"])
    shows(at, path, path["marks"]["tipping"])


def test_names_are_only_names(at):
    assert text(at, '[data-class="2"] bdi') == NAMES[2]
    assert at.execute_script("return document.querySelectorAll('script').length") == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("classes", [2, 10, 40])
def test_nothing_is_wider_than_a_phone(browser, tmp_path, scheme, classes):
    names = (HOSTILE + [f"class {k}" for k in range(30)])[:classes]
    model = explainer((1, 8, 8), num_classes=classes, names=names)
    images = pictures(2, (1, 8, 8), classes)
    page = counterfactual_page(
        model, images, frames=2, names=["n" * 200, HOSTILE[5]], title="t" * 99
    )
    place = write_page(tmp_path / "page.html", page)
    opened(browser, place, 360, 740, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    wider = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter((one) => !one.closest("
        "'#table-box table, #thumbnails, .unseen') && one.getBoundingClientRect().right > 360.5)"
        ".map((one) => one.id || one.className || one.tagName)"
    )
    assert wider == []
    slider = find(browser, "#step").rect
    assert slider["y"] + slider["height"] < 740
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("how", ["src", "srcdoc"])
def test_in_a_sandboxed_frame(browser, place, page, data, tmp_path, how):
    """As Weights & Biases shows it: without storage, navigation or an origin of its own."""
    content = place.as_uri() if how == "src" else html.escape(page)
    frame = f'<iframe sandbox="allow-scripts" {how}="{content}" width=900 height=700>'
    outer = tmp_path / "outer.html"
    outer.write_text(f"<!doctype html><link rel=icon href='data:,'>{frame}</iframe>")
    browser.get(outer.as_uri())
    browser.switch_to.frame(find(browser, "iframe"))
    until(lambda: text(browser, "#status"))
    path = path_to(data, 0, 1)
    click(browser, '[data-class="1"] input')
    until(lambda: step(browser) == path["marks"]["convincing"])
    drag(browser, "#step", 3)
    shows(browser, path, 3)
    click(browser, "#rows tr:nth-child(4)")
    until(lambda: HOSTILE[1] in text(browser, "#status"))
    assert browser.get_log("browser") == []
