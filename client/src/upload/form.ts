import type { Upload } from "./options";

/** Puts what was uploaded into the form around the widget, as `renuoupload[<name>][<field>]`. */
export class FormFields {
  private readonly groups = new Map<File, HTMLElement>();

  constructor(private readonly element: HTMLElement) {}

  add(file: File, upload: Upload): void {
    if (!this.element.closest("form")) {
      return;
    }
    const group = document.createElement("span");
    group.hidden = true;
    const name = this.freeName(upload.name);
    group.dataset.name = name;
    for (const [field, value] of Object.entries(upload)) {
      if (field !== "name" && field !== "picture") {
        const input = document.createElement("input");
        input.type = "hidden";
        input.name = `renuoupload[${name}][${field}]`;
        input.value = String(value);
        group.append(input);
      }
    }
    this.groups.set(file, group);
    this.element.append(group);
  }

  remove(file: File): void {
    this.groups.get(file)?.remove();
    this.groups.delete(file);
  }

  destroy(): void {
    for (const file of [...this.groups.keys()]) {
      this.remove(file);
    }
  }

  /** Two files of one name are two groups: `tiger` and `tiger-2`. */
  private freeName(name: string): string {
    const taken = new Set(Array.from(this.groups.values(), (group) => group.dataset.name));
    let free = name;
    for (let number = 2; taken.has(free); number++) {
      free = `${name}-${number}`;
    }
    return free;
  }
}
