/** An element of the page, which index.html has. */
export function part<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found as T;
}

/** A copy of a template's only element. */
export function stamp<T extends HTMLElement>(id: string): T {
  const made = part<HTMLTemplateElement>(id).content.firstElementChild?.cloneNode(true);
  return made as T;
}

/** The first such element within another. */
export function within<T extends HTMLElement = HTMLElement>(element: ParentNode, selector: string): T {
  const found = element.querySelector<T>(selector);
  if (!found) throw new Error(`There is no ${selector}.`);
  return found;
}
