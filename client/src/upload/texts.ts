import type { UploadError } from "./request";

/** All that the widget says. What stands in {{}} is put in. */
export interface Texts {
  /** The area's name, for who does not see it. */
  label: string;
  drop: string;
  camera: string;
  /** Of a file. */
  progress: string;
  checking: string;
  uploaded: string;
  cancel: string;
  cancelled: string;
  remove: string;
  retry: string;
  /** Of all. */
  done: string;
  formWaits: string;
  retrying: string;
  /** Why a file is not uploaded. */
  unreachable: string;
  unavailable: string;
  no_room: string;
  forbidden: string;
  ticket_refused: string;
  expired: string;
  empty_file: string;
  too_large: string;
  too_many_pixels: string;
  too_complex: string;
  unsupported_type: string;
  type_not_allowed: string;
  undecodable: string;
  unreadable: string;
  active_content: string;
  infected: string;
  maxFilesReached: string;
  unknown: string;
}

const EN: Texts = {
  label: "Upload pictures",
  drop: "Drop pictures here, or choose them",
  camera: "Take a photo",
  progress: "Upload of {{name}}",
  checking: "Being checked",
  uploaded: "Uploaded",
  cancel: "Cancel the upload of {{name}}",
  cancelled: "Cancelled.",
  remove: "Remove {{name}}",
  retry: "Try again",
  done: "{{done}} of {{total}} uploaded.",
  formWaits: "The form is sent as soon as all pictures are uploaded.",
  retrying: "{{reason}} Trying again in {{seconds}} s.",
  unreachable: "The server cannot be reached: check the connection.",
  unavailable: "The server is busy or being repaired: try again in a while.",
  no_room: "There is no room left on the server: try again later.",
  forbidden: "This page may not upload: its API key is not valid.",
  ticket_refused: "The storage did not accept the file: try again.",
  expired: "The permission to upload has run out: try again.",
  empty_file: "The file is empty.",
  too_large: "The file is too large ({{filesize}} MB). At most {{maxFilesize}} MB are possible.",
  too_many_pixels: "The picture has too many pixels: send a smaller one.",
  too_complex: "The picture is too complicated: save it again, plainly.",
  unsupported_type: "This is no picture of a known type.",
  type_not_allowed: "Files of this type are not taken here.",
  undecodable: "The file is damaged: choose it again.",
  unreadable: "The file was moved or changed meanwhile: choose it again.",
  active_content: "The picture contains scripts or links, which are not allowed.",
  infected: "The virus scanner refused this file.",
  maxFilesReached: "No more than {{maxFiles}} files are possible.",
  unknown: "The upload failed: {{detail}}",
};

const DE: Texts = {
  label: "Bilder hochladen",
  drop: "Bilder hierher ziehen oder auswählen",
  camera: "Foto aufnehmen",
  progress: "Hochladen von {{name}}",
  checking: "Wird geprüft",
  uploaded: "Hochgeladen",
  cancel: "Hochladen von {{name}} abbrechen",
  cancelled: "Abgebrochen.",
  remove: "{{name}} entfernen",
  retry: "Noch einmal versuchen",
  done: "{{done}} von {{total}} hochgeladen.",
  formWaits: "Das Formular wird gesendet, sobald alle Bilder hochgeladen sind.",
  retrying: "{{reason}} Neuer Versuch in {{seconds}} s.",
  unreachable: "Der Server ist nicht erreichbar: Verbindung prüfen.",
  unavailable: "Der Server ist überlastet oder wird gewartet: später noch einmal versuchen.",
  no_room: "Auf dem Server ist kein Platz mehr: später noch einmal versuchen.",
  forbidden: "Diese Seite darf nicht hochladen: ihr API-Schlüssel ist ungültig.",
  ticket_refused: "Der Speicher hat die Datei nicht angenommen: noch einmal versuchen.",
  expired: "Die Erlaubnis zum Hochladen ist abgelaufen: noch einmal versuchen.",
  empty_file: "Die Datei ist leer.",
  too_large: "Die Datei ist zu gross ({{filesize}} MB). Möglich sind höchstens {{maxFilesize}} MB.",
  too_many_pixels: "Das Bild hat zu viele Pixel: ein kleineres senden.",
  too_complex: "Das Bild ist zu kompliziert: einfacher neu speichern.",
  unsupported_type: "Das ist kein Bild eines bekannten Typs.",
  type_not_allowed: "Dateien dieses Typs werden hier nicht angenommen.",
  undecodable: "Die Datei ist beschädigt: noch einmal auswählen.",
  unreadable: "Die Datei wurde inzwischen verschoben oder geändert: noch einmal auswählen.",
  active_content: "Das Bild enthält Skripte oder Verweise, die nicht erlaubt sind.",
  infected: "Der Virenscanner hat diese Datei abgelehnt.",
  maxFilesReached: "Mehr als {{maxFiles}} Dateien sind nicht möglich.",
  unknown: "Das Hochladen ist fehlgeschlagen: {{detail}}",
};

const FR: Texts = {
  label: "Envoyer des images",
  drop: "Déposez des images ici ou choisissez-les",
  camera: "Prendre une photo",
  progress: "Envoi de {{name}}",
  checking: "Vérification en cours",
  uploaded: "Envoyée",
  cancel: "Annuler l’envoi de {{name}}",
  cancelled: "Annulé.",
  remove: "Retirer {{name}}",
  retry: "Réessayer",
  done: "{{done}} sur {{total}} envoyées.",
  formWaits: "Le formulaire sera envoyé dès que toutes les images le seront.",
  retrying: "{{reason}} Nouvel essai dans {{seconds}} s.",
  unreachable: "Le serveur est injoignable : vérifiez la connexion.",
  unavailable: "Le serveur est surchargé ou en maintenance : réessayez plus tard.",
  no_room: "Il n’y a plus de place sur le serveur : réessayez plus tard.",
  forbidden: "Cette page ne peut rien envoyer : sa clé d’API n’est pas valable.",
  ticket_refused: "Le stockage n’a pas accepté le fichier : réessayez.",
  expired: "L’autorisation d’envoi a expiré : réessayez.",
  empty_file: "Le fichier est vide.",
  too_large: "Le fichier est trop grand ({{filesize}} Mo). {{maxFilesize}} Mo au plus sont possibles.",
  too_many_pixels: "L’image a trop de pixels : envoyez-en une plus petite.",
  too_complex: "L’image est trop compliquée : enregistrez-la plus simplement.",
  unsupported_type: "Ce n’est pas une image d’un type connu.",
  type_not_allowed: "Les fichiers de ce type ne sont pas acceptés ici.",
  undecodable: "Le fichier est endommagé : choisissez-le à nouveau.",
  unreadable: "Le fichier a été déplacé ou modifié entre-temps : choisissez-le à nouveau.",
  active_content: "L’image contient des scripts ou des liens, ce qui n’est pas permis.",
  infected: "L’antivirus a refusé ce fichier.",
  maxFilesReached: "{{maxFiles}} fichiers au plus sont possibles.",
  unknown: "L’envoi a échoué : {{detail}}",
};

const ES: Texts = {
  label: "Subir imágenes",
  drop: "Arrastra imágenes aquí o elígelas",
  camera: "Hacer una foto",
  progress: "Subida de {{name}}",
  checking: "Comprobando",
  uploaded: "Subida",
  cancel: "Cancelar la subida de {{name}}",
  cancelled: "Cancelado.",
  remove: "Quitar {{name}}",
  retry: "Intentar de nuevo",
  done: "{{done}} de {{total}} subidas.",
  formWaits: "El formulario se enviará en cuanto se hayan subido todas las imágenes.",
  retrying: "{{reason}} Nuevo intento en {{seconds}} s.",
  unreachable: "No se puede acceder al servidor: comprueba la conexión.",
  unavailable: "El servidor está ocupado o en mantenimiento: inténtalo más tarde.",
  no_room: "No queda espacio en el servidor: inténtalo más tarde.",
  forbidden: "Esta página no puede subir nada: su clave de API no es válida.",
  ticket_refused: "El almacenamiento no aceptó el archivo: inténtalo de nuevo.",
  expired: "El permiso para subir ha caducado: inténtalo de nuevo.",
  empty_file: "El archivo está vacío.",
  too_large: "El archivo es demasiado grande ({{filesize}} MB). Como máximo son posibles {{maxFilesize}} MB.",
  too_many_pixels: "La imagen tiene demasiados píxeles: envía una más pequeña.",
  too_complex: "La imagen es demasiado complicada: guárdala de forma más sencilla.",
  unsupported_type: "Esto no es una imagen de un tipo conocido.",
  type_not_allowed: "Aquí no se aceptan archivos de este tipo.",
  undecodable: "El archivo está dañado: elígelo de nuevo.",
  unreadable: "El archivo se ha movido o modificado entretanto: elígelo de nuevo.",
  active_content: "La imagen contiene scripts o enlaces, que no están permitidos.",
  infected: "El antivirus rechazó este archivo.",
  maxFilesReached: "No son posibles más de {{maxFiles}} archivos.",
  unknown: "La subida falló: {{detail}}",
};

/** The words by language; others may be added. */
export const LANGUAGES: Record<string, Texts> = { en: EN, de: DE, fr: FR, es: ES };

/** Codes that are said in the words of another one. */
const SAME: Record<string, keyof Texts> = {
  bad_gateway: "unavailable",
  digest_mismatch: "undecodable",
  internal_error: "unavailable",
  scanner_unavailable: "unavailable",
  storage_unavailable: "unavailable",
  tickets_unavailable: "unavailable",
  timeout: "unavailable",
  too_many_frames: "too_complex",
  too_many_requests: "unavailable",
  too_slow: "unreachable",
  trailing_data: "undecodable",
};

/** What Dropzone calls them. */
const DROPZONES: Record<string, (keyof Texts)[]> = {
  dictDefaultMessage: ["drop"],
  dictFileTooBig: ["too_large"],
  dictInvalidFileType: ["unsupported_type", "type_not_allowed"],
  dictMaxFilesExceeded: ["maxFilesReached"],
  dictCancelUpload: ["cancel"],
  dictUploadCanceled: ["cancelled"],
  dictRemoveFile: ["remove"],
};

/** The words for an element: of its language, and what the options say instead. */
export function textsFor(element: Element, options: Record<string, unknown>): Texts {
  const asked = options.lang ?? element.closest("[lang]")?.getAttribute("lang") ?? navigator.language;
  const texts = { ...(LANGUAGES[String(asked).slice(0, 2).toLowerCase()] ?? EN) };
  for (const [option, names] of Object.entries(DROPZONES)) {
    for (const name of names) {
      texts[name] = String(options[option] ?? texts[name]);
    }
  }
  return Object.assign(texts, options.texts);
}

/** A text with its values. */
export function fill(text: string, values: Record<string, unknown>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** The sentence for a refusal. Where there are no words for its code, the service's own. */
export function sentence(texts: Texts, error: UploadError, values: Record<string, unknown> = {}): string {
  const known = Object.keys(texts) as (keyof Texts)[];
  const name = known.find((name) => name === error.code) ?? known.find((name) => name === SAME[error.code]);
  return fill(texts[name ?? (error.status >= 500 ? "unavailable" : "unknown")], {
    ...values,
    detail: error.detail || error.code,
  });
}
