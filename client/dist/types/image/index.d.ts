import { address, srcset } from "./address";
import { ThumbstackGallery } from "./gallery";
import { ThumbstackImg } from "./image";
export { address, srcset, ThumbstackGallery, ThumbstackImg };
/** Teach the page `<thumbstack-img>` and `<thumbstack-gallery>`; `script`, where this came from, is at the service. */
export declare function define(script?: string): void;
