"""A browser at the page: what a person does there, and what is seen then."""

import time

import pytest
import torch
from small_page import frames_of


def opened(browser, place, width=1200, height=900, scheme="light"):
    browser.switch_to.default_content()
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.get(place.as_uri())
    until(lambda: text(browser, "#status"))


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def find(browser, css):
    return browser.find_element("css selector", css)


def text(browser, css):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", css)


def click(browser, css):
    browser.execute_script("document.querySelector(arguments[0]).click()", css)


def drag(browser, css, value):
    """As a hand does: the value changes, and the page is told."""
    browser.execute_script(
        "const slider = document.querySelector(arguments[0]); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))", css, value,
    )  # fmt: skip


def step(browser):
    return int(find(browser, "#step").get_property("value"))


def canvas(browser, name):
    """What is drawn on a canvas (H, W, 3), uint8."""
    values = browser.execute_script(
        "const canvas = document.getElementById(arguments[0]);"
        "const {width, height} = canvas;"
        "const copy = Object.assign(document.createElement('canvas'), {width, height});"
        "const context = copy.getContext('2d', {willReadFrequently: true});"
        "context.drawImage(canvas, 0, 0);"
        "const all = context.getImageData(0, 0, width, height).data;"
        "return [height, width, Array.from(all)]", name,
    )  # fmt: skip
    return torch.tensor(values[2], dtype=torch.uint8).view(values[0], values[1], 4)[..., :3]


def path_to(data, image, target):
    return next(path for path in data["images"][image]["paths"] if path["target"] == target)


def percent(p):
    return (
        ">99.9\xa0%" if 100 * p > 99.9 else "<0.1\xa0%" if 100 * p < 0.1 else f"{100 * p:.1f}\xa0%"
    )


def shows(browser, path, frame):
    """Whether everything that moves is where it should be."""
    assert step(browser) == frame
    expected = frames_of(path)[frame].permute(1, 2, 0)
    assert torch.equal(canvas(browser, "counterfactual"), expected)
    for k, p in enumerate(path["posterior"][frame]):
        row = f'[data-class="{k}"]'
        assert text(browser, f"{row} .value") == percent(p)
        scale = find(browser, f"{row} .bar span").value_of_css_property("transform")
        assert float(scale.removeprefix("matrix(").split(",")[0]) == pytest.approx(p, abs=1e-4)
    assert float(text(browser, "#alpha")) == pytest.approx(path["alphas"][frame], abs=6e-4)
    log_p = text(browser, "#log-p").replace("\u2212", "-")
    assert float(log_p.split()[0]) == pytest.approx(path["log_prob"][frame], abs=0.06)
    assert f"above {percent(path['quantile'][frame])} of the training images" in log_p
    change = canvas(browser, "change").double()
    red_over_blue = change[..., 0] - change[..., 2]
    difference = expected.double().sum(-1) - frames_of(path)[0].double().sum(0)
    assert (red_over_blue[difference > 40] > 0).all()
    assert (red_over_blue[difference < -40] < 0).all()
