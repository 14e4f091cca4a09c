import { ThumbstackUpload } from "../upload/index";
import { Gallery } from "./gallery";
import { part } from "./part";
import type { Picture } from "./picture";
import { Refusal, Service } from "./service";
import { Viewer } from "./viewer";

// What a header can hold; anything else is no key.
const SENDABLE = /^[\x21-\x7e]+$/;
const NO_KEY = "This is no private API key of this service. A public one only uploads.";

const service = new Service();
const gallery = new Gallery(service);
const viewer = new Viewer(service, gallery);

/** Shows the pictures, or asks for the key where the service does. */
async function enter(): Promise<void> {
  const key = service.key;
  try {
    await gallery.open();
  } catch (error) {
    if (error instanceof Refusal && error.status === 403) return lock(key ? NO_KEY : "");
    part("door").hidden = true;
    part("house").hidden = false;
    return gallery.trouble(error, enter);
  }
  part("door").hidden = true;
  part("house").hidden = false;
  part("forget").hidden = !key;
  widget(key);
  await viewer.follow();
}

/** The upload widget, used as any site would. */
function widget(apiKey: string): void {
  const place = part("upload");
  part("arrivals").hidden = false;
  if (ThumbstackUpload.of(place)) return;
  const options = { apiKey, signingUrl: new URL("generate_policy", location.href).href };
  new ThumbstackUpload(place, options, ({ picture }) => gallery.add(picture as unknown as Picture));
}

function lock(why: string): void {
  service.key = "";
  part("house").hidden = part("forget").hidden = true;
  part("door").hidden = false;
  part("door-error").textContent = why;
  part("door-key").setAttribute("aria-invalid", String(why !== ""));
  part("door-key").focus();
}

part("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = part<HTMLInputElement>("door-key");
  const key = field.value.trim();
  field.value = "";
  if (!SENDABLE.test(key)) return lock(NO_KEY);
  service.key = key;
  void enter();
});

// Everything that was shown goes with it.
part("forget").addEventListener("click", () => {
  service.key = "";
  location.assign("./");
});

void enter();
