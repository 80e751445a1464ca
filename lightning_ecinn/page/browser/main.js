// What is shown now, and what happens when something else is chosen.

const now = { i: 0, path: null, frame: 0, shown: null, mode: "beside" };
const ARROWS = { ArrowLeft: -1, ArrowRight: 1 };

const imageNow = () => data.images[now.i];

/** Another image or class; at the step asked for, or the one that the last pair was shown at. */
async function choose(i, target, step) {
  const image = data.images[i];
  const path = image.paths.find((one) => one.target === target);
  const wanted = step || (now.path && marksAt(now.path, now.frame)[0]) || "convincing";
  pause();
  Object.assign(now, { i, path, shown: null });
  showChoice(i, path);
  buildMarks(path, goTo);
  showCertificates(image, path);
  markInTable(path);
  const shown = await pictures(image, path);
  if (now.path !== path) return; // something else was chosen meanwhile
  now.shown = shown;
  goTo(path.marks[wanted] ?? path.marks.convincing ?? path.alphas.length - 1);
  say();
}

function goTo(frame) {
  const { path, shown } = now;
  if (!shown) return;
  now.frame = Math.max(0, Math.min(path.alphas.length - 1, frame));
  draw(byId("counterfactual"), shown.frames[now.frame]);
  draw(byId("before"), shown.input);
  draw(byId("input"), shown.input);
  showHeatmap(shown, now.frame, now.mode);
  showStep(imageNow(), path, now.frame);
  showBars(path.posterior[now.frame]);
  showCaptions();
}

function showCaptions() {
  const { path, frame } = now;
  const image = imageNow();
  const known = image.label === null ? "" : `, labelled ${className(image.label)}`;
  const input = `${className(image.source)}${known}`;
  const after = classified(path, frame);
  byId("input-caption").replaceChildren(`Input: ${input}`, named(image.name));
  byId("input").setAttribute("aria-label", `Input, classified as ${input}`);
  byId("counterfactual-caption").textContent = `Counterfactual: ${after}`;
  byId("counterfactual").setAttribute("aria-label", `Counterfactual, classified as ${after}`);
}

/** For a screen reader, once something was chosen or has come to rest. */
function say() {
  const { path, frame } = now;
  const to = path.target === imageNow().source ? "" : ` to ${className(path.target)}`;
  byId("status").textContent =
    `${isolated(imageNow().name)}${to}: step ${fixed(path.alphas[frame], 2)}, ` +
    `classified as ${classified(path, frame)}`;
}

function showCertificates(image, path) {
  const card = (step) => {
    const reason = path.reasons[step];
    const frame = path.marks[step];
    const made = element("div", { class: reason ? "card fails" : "card holds" });
    const holds = reason
      ? `It does not hold: ${reason}.`
      : "It holds: asked again about the picture exactly as you see it, the classifier says " +
        `${classified(path, frame)}.`;
    made.append(element("h3", { text: `${capital(STEPS[step].name)} ${STEPS[step].sign}` }),
      element("p", {}, element("strong", { text: reason ? "✗ " : "✓ ", "aria-hidden": "true" }),
        holds));
    return made;
  };
  const still = path.target === image.source &&
    element("p", { text: `Nothing was asked for: this image already is ${className(image.source)}.` });
  byId("cards").replaceChildren(...(still ? [still] : ["convincing", "certified"].map(card)));
}

function goToPair(entry) {
  choose(entry.i, entry.path.target, byId("table-step").value);
  byId("pictures").scrollIntoView({ block: "start" });
  (entry.path.alphas.length > 1 ? byId("step") : byId("images")).focus({ preventScroll: true });
}

function wipe(share) {
  const hidden = 100 * (1 - share);
  byId("before").style.clipPath = `inset(0 ${hidden}% 0 0)`;
  byId("divider").style.left = `${100 * share}%`;
  byId("divider").hidden = share === 0;
  byId("wiper").setAttribute("aria-valuetext", `${Math.round(100 * share)} % input`);
}

/** The picture itself can be wiped too. */
function wipeAt(event) {
  const { left, width } = byId("compare").getBoundingClientRect();
  const share = Math.max(0, Math.min(1, (event.clientX - left) / width));
  byId("wiper").value = Math.round(100 * share);
  wipe(share);
}

function listen() {
  byId("step").addEventListener("input", () => {
    pause();
    goTo(Number(byId("step").value));
  });
  byId("play").addEventListener("click", () => (playing ? pause() : play(goTo, say)));
  byId("wiper").addEventListener("input", () => wipe(Number(byId("wiper").value) / 100));
  byId("compare").addEventListener("pointerdown", (event) => {
    byId("compare").setPointerCapture(event.pointerId);
    wipeAt(event);
  });
  byId("compare").addEventListener("pointermove", (event) => event.buttons && wipeAt(event));
  for (const radio of document.querySelectorAll("[name=mode]")) {
    radio.addEventListener("change", () => {
      now.mode = radio.value;
      goTo(now.frame);
    });
  }
  document.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (!way || event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    pause();
    goTo(now.frame + way);
  });
  byId("table-step").addEventListener("change", table);
  byId("rows").addEventListener("keydown", moveInTable);
  addEventListener("resize", raiseMarks);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => goTo(now.frame));
}

function table() {
  showTable(goToPair);
  markInTable(now.path);
}

function chooseImage(i) {
  const image = data.images[i];
  const same = image.paths.find((path) => path.target === now.path.target);
  const kept = same && same.target !== image.source;
  choose(i, image.first ?? (kept ? same.target : runnerUp(image)));
}

byId("title").textContent = data.title;
buildThumbnails(chooseImage);
buildBars((k) => choose(now.i, k));
buildColumns(table);
listen();
wipe(0);
choose(0, data.images[0].first ?? runnerUp(data.images[0]));
table();
