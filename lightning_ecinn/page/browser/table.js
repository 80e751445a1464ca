// The table of all images to all classes: sorted by a column, a way to each pair.

const COLUMNS = [
  { key: "image", text: "Image" },
  { key: "from", text: "From" },
  { key: "to", text: "To" },
  { key: "alpha", text: "Step α", number: true },
  { key: "p", text: "p(to)", number: true },
  { key: "logP", text: "log p", number: true },
  { key: "distance", text: "Distance", number: true },
  { key: "valid", text: "Valid" },
];
const order = { key: "image", down: false };

/** One entry for each image and class that it is not already. */
function entries(step) {
  return data.images.flatMap((image, i) =>
    image.paths.filter((path) => path.target !== image.source).map((path) => {
      const frame = path.marks[step];
      const at = { i, path, frame, image: i, from: image.source, to: path.target };
      if (frame === undefined) return at;
      const posterior = path.posterior[frame];
      return {
        ...at, alpha: path.alphas[frame], p: posterior[path.target],
        logP: path.log_prob[frame], distance: path.distance[frame],
        classified: likeliest(posterior), valid: Number(likeliest(posterior) === path.target),
      };
    }));
}

/** By the chosen column, what has no value last; then by image and class. */
function compared(a, b) {
  const [x, y] = [a[order.key], b[order.key]];
  if ((x === undefined) !== (y === undefined)) return x === undefined ? 1 : -1;
  return (order.down ? y - x : x - y) || a.i - b.i || a.to - b.to;
}

function buildColumns(show) {
  for (const column of COLUMNS) {
    const button = element("button", { type: "button", "data-key": column.key, text: column.text },
      element("span", { class: "arrow", "aria-hidden": "true" }));
    button.addEventListener("click", () => {
      order.down = order.key === column.key ? !order.down : false;
      order.key = column.key;
      show();
    });
    byId("columns").append(
      element("th", { scope: "col", class: column.number ? "number" : "" }, button));
  }
}

function row(entry, go) {
  const image = data.images[entry.i];
  const name = element("button", { type: "button", tabindex: -1 },
    thumbnail(image, ""), named(image.name));
  const numbers = entry.frame === undefined
    ? ["–", "–", "–", "–"]
    : [fixed(entry.alpha, 3), percent(entry.p), fixed(entry.logP, 1), fixed(entry.distance, 1)];
  const made = element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", {}, named(data.classes[entry.from])),
    element("td", {}, named(data.classes[entry.to])),
    ...numbers.map((text) => element("td", { class: "number", text })),
    validity(entry));
  made.addEventListener("click", () => go(entry));
  made.entry = entry;
  return made;
}

function validity(entry) {
  if (entry.frame === undefined) return element("td", { class: "not", text: "no step" });
  if (entry.valid) return element("td", { class: "yes", text: "✓ yes" });
  return element("td", { class: "not" }, "✗ ", named(data.classes[entry.classified]));
}

function showTable(go) {
  const sorted = entries(byId("table-step").value).sort(compared);
  byId("rows").replaceChildren(...sorted.map((entry) => row(entry, go)));
  const first = byId("rows").querySelector("button");
  if (first) first.tabIndex = 0;
  const without = sorted.filter((entry) => entry.frame === undefined).length;
  byId("table-note").textContent =
    `${sorted.length} pairs` + (without ? `, ${without} of them without such a step` : "") + ".";
  for (const header of byId("columns").children) {
    const chosen = header.firstChild.dataset.key === order.key;
    if (chosen) header.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
    header.querySelector(".arrow").textContent = chosen ? (order.down ? " ▼" : " ▲") : "";
  }
}

/** Only one row is in the way of Tab; arrows go to the others. */
function moveInTable(event) {
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const here = event.target.closest("tbody tr");
  if (!way || !here) return;
  event.preventDefault();
  const next = way > 0 ? here.nextElementSibling : here.previousElementSibling;
  if (!next) return;
  here.querySelector("button").tabIndex = -1;
  const button = next.querySelector("button");
  button.tabIndex = 0;
  button.focus();
}

function markInTable(path) {
  for (const one of byId("rows").children) {
    if (one.entry.path === path) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
}
