// Pictures: cut from sprites, drawn pixel by pixel.

const [CHANNELS, HEIGHT, WIDTH] = data.size;
const loaded = new Map();

/** The RGBA values of a PNG file in base64. */
async function pixels(base64) {
  const image = new Image();
  image.src = "data:image/png;base64," + base64;
  await image.decode();
  const canvas = element("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

/** All frames of a path, each an ImageData, and the largest change of any pixel, in [0, 1]. */
function framesOf(path) {
  if (!loaded.has(path)) loaded.set(path, pixels(path.sprite).then((rgba) => cut(path, rgba)));
  return loaded.get(path);
}

// In a sprite the values that a pixel takes, frame by frame, stand side by side.
function cut(path, rgba) {
  const count = path.alphas.length;
  const all = new Uint32Array(rgba.buffer);
  const frames = path.alphas.map((_, frame) => {
    const picture = new ImageData(WIDTH, HEIGHT);
    const colours = new Uint32Array(picture.data.buffer);
    for (let k = 0; k < colours.length; k++) colours[k] = all[k * count + frame];
    return picture;
  });
  return { frames, input: null, largest: 0 };
}

/** The frames of a path, with the input that they are compared with. */
async function pictures(image, path) {
  const [made, rgba] = await Promise.all([framesOf(path), inputOf(image)]);
  if (made.input) return made;
  made.input = new ImageData(rgba, WIDTH, HEIGHT);
  for (const picture of made.frames) {
    for (const change of changes(made.input, picture)) {
      made.largest = Math.max(made.largest, Math.abs(change));
    }
  }
  return made;
}

function inputOf(image) {
  if (!loaded.has(image)) loaded.set(image, pixels(image.picture));
  return loaded.get(image);
}

/** Signed change of each pixel, the mean over its colours, in [-1, 1]. */
function changes(before, after) {
  const values = new Float32Array(WIDTH * HEIGHT);
  const [a, b] = [after.data, before.data];
  for (let k = 0; k < values.length; k++) {
    const i = 4 * k;
    values[k] = (a[i] + a[i + 1] + a[i + 2] - b[i] - b[i + 1] - b[i + 2]) / 765;
  }
  return values;
}

function draw(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
