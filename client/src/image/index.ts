import { address, comeFrom, srcset } from "./address";
import { ThumbstackGallery } from "./gallery";
import { ThumbstackImg } from "./image";

export { address, srcset, ThumbstackGallery, ThumbstackImg };

/** Teach the page `<thumbstack-img>` and `<thumbstack-gallery>`; `script`, where this came from, is at the service. */
export function define(script: string = import.meta.url): void {
  comeFrom(script);
  if (!customElements.get("thumbstack-img")) customElements.define("thumbstack-img", ThumbstackImg);
  if (!customElements.get("thumbstack-gallery")) customElements.define("thumbstack-gallery", ThumbstackGallery);
}
