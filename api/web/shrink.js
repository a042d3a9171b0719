// Pictures before they are sent: what they are by their content, and smaller ones of those that are too large.

import { limits } from "./limits.js";

const decoder = new TextDecoder("latin1");
const BRANDS = /avif|avis|heic|heix|heim|heis|hevc|hevx|mif1|msf1/;

/** Resolves with whether the server takes files of this format. Their names and media types say little. */
export async function isPicture(file) {
  const head = decoder.decode(await file.slice(0, 64).arrayBuffer());
  if (/^(\u00FF\u00D8\u00FF|\u0089PNG\r\n\u001A\n|GIF8[79]a)/.test(head)) return true;
  if (head.startsWith("RIFF")) return head.slice(8, 12) === "WEBP";
  return head.slice(4, 8) === "ftyp" && BRANDS.test(head.slice(8));
}

/** Resolves with the picture as an element, which has its upright size; null if this browser cannot show it. */
export async function shown(address) {
  const image = new Image();
  image.src = address;
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
    return image;
  } catch {
    return null;
  }
}

/** True if the server would refuse the file as it is, for its bytes or its pixels. */
export const isTooLarge = (file, image) =>
  file.size > limits.picture_bytes || (image !== null && image.naturalWidth * image.naturalHeight > limits.picture_pixels);

/**
 * Resolves with the picture as a smaller file, upright and without metadata; null if this browser has no memory for it.
 * It tries twice as many pixels as the server keeps, and then as many.
 */
export async function smaller(file, image) {
  for (const side of [2 * limits.picture_side, limits.picture_side]) {
    const blob = await drawn(file, image, side);
    if (blob && blob.size <= limits.picture_bytes) {
      return new File([blob], file.name, { type: blob.type, lastModified: file.lastModified });
    }
  }
  return null;
}

async function drawn(file, image, side) {
  const scale = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  try {
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    // Other formats may be transparent.
    const type = file.type === "image/jpeg" ? "image/jpeg" : "image/webp";
    return await new Promise((resolve) => canvas.toBlob(resolve, type, 0.92));
  } catch {
    return null;
  } finally {
    // Phones free the memory of a canvas late, unless it has no pixels.
    canvas.width = canvas.height = 0;
  }
}
