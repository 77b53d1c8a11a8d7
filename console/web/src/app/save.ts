// save hands a file to the user, made here.
export function save(name: string, content: Blob | string, type = "application/json") {
  const url = URL.createObjectURL(typeof content === "string" ? new Blob([content], { type }) : content);
  const a = document.createElement("a");
  a.href = url;
  a.download = name.replace(/[^\w.@=,+-]+/g, "-");
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const mostPixels = 64_000_000; // of a canvas, in the browsers that allow the fewest it is more

// png draws an SVG document, twice as large where that fits.
export async function png(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
  await image.decode();
  const scale = Math.min(2, Math.sqrt(mostPixels / (image.width * image.height)), 16_000 / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(image.width * scale);
  canvas.height = Math.floor(image.height * scale);
  const g = canvas.getContext("2d")!;
  g.scale(scale, scale);
  g.drawImage(image, 0, 0);
  return new Promise((done, lost) => canvas.toBlob((b) => (b ? done(b) : lost(new Error("no image"))), "image/png"));
}
