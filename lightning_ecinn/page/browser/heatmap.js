// The heatmap: blue and − where the counterfactual is darker, red and + where it is brighter.

const CELLS = 14; // signs along each side: more would be too small to read
const SIGN = 24; // pixels of the canvas for each, enough to be sharp
const FAINT = 0.25; // below this share of the largest change a sign would only be in the way
const OVERLAID = 0.85; // how much an overlaid heatmap covers at most

/** Colours of the style sheet, [r, g, b] each. */
function heatColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => {
    const hex = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  return { negative: read("--negative"), zero: read("--zero"), positive: read("--positive") };
}

/** A picture of changes: opaque, or to lie over another one. */
function heatPicture(values, largest, over) {
  const { negative, zero, positive } = heatColours();
  const picture = new ImageData(WIDTH, HEIGHT);
  values.forEach((value, k) => {
    const end = value < 0 ? negative : positive;
    const share = largest ? Math.min(1, Math.abs(value) / largest) : 0;
    for (let c = 0; c < 3; c++) {
      picture.data[4 * k + c] = over ? end[c] : zero[c] + share * (end[c] - zero[c]);
    }
    picture.data[4 * k + 3] = 255 * (over ? OVERLAID * share : 1);
  });
  return picture;
}

/** Mean change of each square of pixels that gets a sign, its column and row. */
function signCells(values) {
  const block = Math.ceil(Math.max(WIDTH, HEIGHT) / CELLS);
  const cells = [];
  for (let y = 0; y + block <= HEIGHT; y += block) {
    for (let x = 0; x + block <= WIDTH; x += block) {
      let sum = 0;
      for (let k = 0; k < block * block; k++) {
        sum += values[(y + Math.floor(k / block)) * WIDTH + x + (k % block)];
      }
      cells.push({ x: (x + block / 2) / WIDTH, y: (y + block / 2) / HEIGHT, mean: sum / block ** 2 });
    }
  }
  return cells;
}

/** Signs for who can't tell the colours apart, drawn finer than the pixels. */
function drawSigns(canvas, values, largest) {
  canvas.width = canvas.height = CELLS * SIGN;
  const context = canvas.getContext("2d");
  const [side, arm] = [canvas.width, SIGN / 4];
  context.strokeStyle = "rgb(255 255 255 / 0.9)";
  context.lineWidth = 3;
  context.beginPath();
  for (const { x, y, mean } of signCells(values)) {
    if (!largest || Math.abs(mean) < FAINT * largest) continue;
    const [left, top] = [x * side, y * side];
    context.moveTo(left - arm, top);
    context.lineTo(left + arm, top);
    if (mean < 0) continue;
    context.moveTo(left, top - arm);
    context.lineTo(left, top + arm);
  }
  context.stroke();
}

function changeInWords(values) {
  const level = 1 / 255;
  const darker = values.filter((value) => value < -level).length / values.length;
  const brighter = values.filter((value) => value > level).length / values.length;
  return `${percent(brighter)} of the pixels brighter, ${percent(darker)} darker`;
}

function showHeatmap(shown, frame, mode) {
  const values = changes(shown.input, shown.frames[frame]);
  const over = mode === "over";
  byId("pictures").dataset.mode = mode;
  byId("legend").hidden = mode === "off";
  byId("overlay").hidden = byId("overlay-signs").hidden = !over;
  const [picture, signs] = over ? ["overlay", "overlay-signs"] : ["change", "change-signs"];
  draw(byId(picture), heatPicture(values, shown.largest, over));
  drawSigns(byId(signs), values, shown.largest);
  byId("change").setAttribute("aria-label", "Heatmap of the change: " + changeInWords(values));
  const most = fixed(shown.largest, 2);
  byId("darkest").textContent = `darker −${most}`;
  byId("brightest").textContent = `+${most} brighter`;
  byId("change-caption").textContent = CHANNELS > 1 ? "Change (mean of RGB)" : "Change";
}
