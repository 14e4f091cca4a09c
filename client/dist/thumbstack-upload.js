"use strict";(()=>{var e=class{constructor(o){this.element=o,o.classList.add("dropzone")}};window.ThumbstackUpload=e;})();
