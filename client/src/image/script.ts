import { address, define, srcset } from "./index";

declare global {
  interface Window {
    ThumbstackImage: { address: typeof address; srcset: typeof srcset };
  }
}

window.ThumbstackImage = { address, srcset };
define();
