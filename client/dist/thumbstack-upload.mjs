var t=class{constructor(e){this.element=e,e.classList.add("dropzone")}};export{t as ThumbstackUpload};
