/**
 * A file name as addresses like it: lower case, blanks and underscores as hyphens, and of the rest only ASCII letters,
 * digits, hyphens and dots.
 */
export declare function cleanName(name: string): string;
/** A name's part before its last dot, and the one behind it. */
export declare function splitName(name: string): [stem: string, extension: string];
