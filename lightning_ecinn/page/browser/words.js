// Words and numbers: the same in every country, and safe whatever a class is called.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const STEPS = {
  tipping: { sign: "α₀", name: "tipping point" },
  star: { sign: "α*", name: "first step" },
  certified: { sign: "✓", name: "certified step" },
  convincing: { sign: "α₁", name: "convincing step" },
};

/** A name in a sentence: whatever its direction of writing, it turns nothing around it. */
function isolated(name) {
  return "\u2068" + name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "") + "\u2069";
}

const className = (k) => isolated(data.classes[k]);

/** A number with so many digits after the point, and a true minus sign. */
function fixed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? "\u2212" + text : text;
}

/** A probability in percent; near 0 and 1 without pretending to be either. */
function percent(probability) {
  const value = 100 * probability;
  if (value > 99.9) return ">99.9\u00a0%";
  return value < 0.1 ? "<0.1\u00a0%" : fixed(value, 1) + "\u00a0%";
}

function likeliest(posterior) {
  return posterior.indexOf(Math.max(...posterior));
}

/** An element with attributes, text and children; text never becomes markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** An element that shows a stranger's name. */
function named(name, attributes = {}) {
  return element("bdi", { text: name, title: name, ...attributes });
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** The names of the marked steps at a frame, in the order of STEPS. */
function marksAt(path, frame) {
  return Object.keys(STEPS).filter((step) => path.marks[step] === frame);
}

/** What a marked step means. */
function meaning(step, source, target) {
  const [p, q] = [className(source), className(target)];
  return {
    tipping: `${p} and ${q} are equally likely here.`,
    star: `from here on, no class is likelier than ${q}.`,
    certified:
      `the smallest step found at which the picture, as you see it, is classified as ${q} ` +
      `with at least ${fixed(100 * data.confidence, 1).replace(/\.0$/, "")}\u00a0%.`,
    convincing: `well past the tipping point, where the picture should clearly be ${q}.`,
  }[step];
}
