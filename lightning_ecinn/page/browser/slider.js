// The slider: a frame for each of its values; marks above it; play and pause.

const MILLISECONDS = 90; // for each frame when playing
const ICONS = { Play: "M4 2.5v11l9-5.5z", Pause: "M4 2.5h3v11h-3zM9.5 2.5h3v11h-3z" };
let playing = null;

/** Buttons above the track, in rows so that none covers another. */
function buildMarks(path, jump) {
  const last = path.alphas.length - 1;
  const frames = [...new Set(Object.values(path.marks))].sort((a, b) => a - b);
  const place = (mark, frame) => {
    mark.style.setProperty("--at", last ? frame / last : 0);
    return mark;
  };
  // The lines come first: they are behind every button.
  const lines = frames.map((frame) => place(element("i", { "aria-hidden": "true" }), frame));
  byId("marks").replaceChildren(...lines, ...frames.map((frame) => {
    const steps = marksAt(path, frame);
    const names = steps.map((step) => STEPS[step].name).join(", ");
    const button = element("button", {
      type: "button", "data-frame": frame, title: capital(names),
      "aria-label": `To the ${names}`, text: steps.map((step) => STEPS[step].sign).join(" = "),
    });
    button.addEventListener("click", () => jump(frame));
    return place(button, frame);
  }));
  raiseMarks();
}

function raiseMarks() {
  const ends = [];
  const lines = byId("marks").querySelectorAll("i");
  byId("marks").querySelectorAll("button").forEach((button, k) => {
    const { left, right } = button.getBoundingClientRect();
    let row = ends.findIndex((end) => left >= end + 4);
    if (row < 0) row = ends.length;
    ends[row] = right;
    for (const mark of [button, lines[k]]) mark.style.setProperty("--row", row);
  });
  byId("marks").style.setProperty("--rows", Math.max(1, ends.length));
}

/** In words: the marked steps here or one frame away, else where this is on the way. */
function inWords(image, path, frame) {
  if (path.target === image.source) return `This image already is ${className(image.source)}.`;
  if (!path.defined) return capital(path.reasons.convincing) + ".";
  if (!path.alphas[frame]) return "The image itself, before any step.";
  const explain = (step) => `${STEPS[step].name}: ${meaning(step, image.source, path.target)}`;
  const here = marksAt(path, frame);
  if (here.length) return here.map((step) => capital(explain(step))).join(" ");
  const near = [frame - 1, frame + 1].flatMap((one) => marksAt(path, one));
  return near.length ? `Near the ${explain(near[0])}` : where(image, path, frame);
}

function where(image, path, frame) {
  const [p, q] = [className(image.source), className(path.target)];
  if (frame < path.marks.tipping) return `Before the tipping point: ${p} is likelier than ${q}.`;
  if (frame > path.marks.convincing) return "Beyond the convincing step.";
  return `Past the tipping point: ${q} is likelier than ${p}.`;
}

/** What the picture of a frame is classified as. */
function classified(path, frame) {
  const posterior = path.posterior[frame];
  const first = likeliest(posterior);
  return `${className(first)}, ${percent(posterior[first])}`;
}

function showStep(image, path, frame) {
  const slider = byId("step");
  const alpha = fixed(path.alphas[frame], 2);
  const marks = marksAt(path, frame).map((step) => STEPS[step].name);
  slider.max = path.alphas.length - 1;
  slider.value = frame;
  slider.disabled = byId("play").disabled = path.alphas.length < 2;
  slider.style.setProperty("--at", frame / Math.max(1, path.alphas.length - 1));
  slider.setAttribute("aria-valuetext",
    [`α ${alpha}`, ...marks, `classified as ${classified(path, frame)}`].join(", "));
  byId("meaning").textContent = inWords(image, path, frame);
  for (const button of byId("marks").querySelectorAll("button")) {
    button.classList.toggle("here", Number(button.dataset.frame) === frame);
  }
  byId("alpha").textContent = fixed(path.alphas[frame], 3);
  byId("distance").textContent = fixed(path.distance[frame], 1);
  const rank = path.quantile &&
    `, above ${percent(path.quantile[frame])} of the training images`;
  byId("log-p").textContent = `${fixed(path.log_prob[frame], 1)} nats${rank || ""}`;
}

function pause() {
  clearInterval(playing);
  playing = null;
  showPlaying("Play");
}

/** From where the slider stands to its end; from its end, from the beginning. */
function play(go, done) {
  const slider = byId("step");
  if (Number(slider.value) >= Number(slider.max)) go(0);
  showPlaying("Pause");
  playing = setInterval(() => {
    go(Number(slider.value) + 1);
    if (Number(slider.value) < Number(slider.max)) return;
    pause();
    done();
  }, MILLISECONDS);
}

function showPlaying(action) {
  byId("play").setAttribute("aria-label", action);
  byId("play").querySelector("path").setAttribute("d", ICONS[action]);
}
