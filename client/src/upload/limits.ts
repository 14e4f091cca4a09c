import Dropzone from "dropzone";
import { splitName } from "./names";

/** The types that the service takes, and the extensions that claim them (thumbstack/picture_type.py). */
const EXTENSIONS: Record<string, string> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  jpe: "image/jpeg",
  jfif: "image/jpeg",
  png: "image/png",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  heic: "image/heic",
  heif: "image/heic",
  hif: "image/heic",
  tif: "image/tiff",
  tiff: "image/tiff",
  svg: "image/svg+xml",
  pdf: "application/pdf",
};
/** What systems call them otherwise. */
const OTHER_NAMES: Record<string, string> = {
  "image/heif": "image/heic",
  "image/jpg": "image/jpeg",
  "image/pjpeg": "image/jpeg",
  "image/x-png": "image/png",
};
const TYPES = new Set(Object.values(EXTENSIONS));

/** With the extensions, since many systems know no type for HEIC. */
export const ALL_TYPES = [...TYPES, "image/heif", ...["heic", "heif", "hif", "tif"].map((end) => `.${end}`)].join(",");

/** The picture type that a file claims, by the browser's word or else by its name; none: it is no picture. */
export function claimedType(file: { name: string; type: string }): string | undefined {
  const type = OTHER_NAMES[file.type] ?? file.type;
  return TYPES.has(type) ? type : EXTENSIONS[splitName(file.name)[1].toLowerCase()];
}

/** Why the service would not take this file, by the codes that it would answer; nothing where it may. */
export function refusalCode(file: File, maxBytes: number, acceptedFiles: string | null): string | undefined {
  const type = claimedType(file);
  if (!type) {
    return "unsupported_type";
  }
  if (!isAccepted(file, type, acceptedFiles)) {
    return "type_not_allowed";
  }
  if (file.size === 0) {
    return "empty_file";
  }
  return file.size > maxBytes ? "too_large" : undefined;
}

function isAccepted(file: File, type: string, acceptedFiles: string | null): boolean {
  const told = [file.type, type].map(
    (type) => ({ name: file.name, type }) as Parameters<typeof Dropzone.isValidFile>[0],
  );
  return told.some((file) => Dropzone.isValidFile(file, acceptedFiles));
}
