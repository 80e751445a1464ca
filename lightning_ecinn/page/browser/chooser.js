// Choosing an image and a class; the classes' radio buttons stand before their posteriors.

/** The picture of an image as an element. */
function thumbnail(image, alternative) {
  const source = "data:image/png;base64," + image.picture;
  return element("img", { src: source, alt: alternative, width: WIDTH, height: HEIGHT });
}

function buildThumbnails(choose) {
  data.images.forEach((image, i) => {
    const radio = element("input", { type: "radio", name: "image", value: i });
    const words = `${isolated(image.name)}, classified as ${className(image.source)}`;
    const label = element("label", { title: image.name }, radio, thumbnail(image, words));
    radio.addEventListener("change", () => choose(i));
    byId("thumbnails").append(label);
  });
}

function buildBars(choose) {
  const count = data.classes.length;
  const short = data.classes.every((name) => name.length < 7);
  byId("bars").classList.toggle("some", count > 5 && count <= 12 && short);
  byId("bars").classList.toggle("many", count > 12);
  data.classes.forEach((name, k) => {
    const radio = element("input", { type: "radio", name: "target", value: k });
    const row = element("label", { "data-class": k }, radio, named(name),
      element("span", { class: "tag" }), element("span", { class: "value" }),
      element("span", { class: "bar", "aria-hidden": "true" }, element("span")));
    radio.addEventListener("change", () => choose(k));
    byId("bars").append(row);
  });
}

/** Which classes can be chosen for an image, and which is. */
function showChoice(i, path) {
  const image = data.images[i];
  document.querySelector(`[name=image][value="${i}"]`).checked = true;
  const offered = new Map(image.paths.map((one) => [one.target, one]));
  for (const row of byId("bars").children) {
    const k = Number(row.dataset.class);
    const radio = row.querySelector("input");
    radio.disabled = k === image.source || !offered.has(k);
    radio.checked = k === path.target && k !== image.source;
    row.classList.toggle("source", k === image.source);
    row.classList.toggle("target", radio.checked);
    const none = offered.has(k) && !offered.get(k).defined;
    row.querySelector(".tag").textContent =
      k === image.source ? "input" : none ? "no step" : radio.checked ? "asked for" : "";
  }
}

function showBars(posterior) {
  const first = likeliest(posterior);
  for (const row of byId("bars").children) {
    const k = Number(row.dataset.class);
    row.querySelector(".value").textContent = percent(posterior[k]);
    row.querySelector(".bar span").style.transform = `scaleX(${posterior[k]})`;
    row.classList.toggle("first", k === first);
  }
}

/** The likeliest class after the image's own that there is a way to, or the first of all. */
function runnerUp(image) {
  const others = image.paths.filter((path) => path.target !== image.source);
  const before = (path) => Number(path.defined) + path.posterior[0][path.target];
  others.sort((a, b) => before(b) - before(a));
  return (others[0] || image.paths[0]).target;
}
