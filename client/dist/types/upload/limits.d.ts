/** With the extensions, since many systems know no type for HEIC. */
export declare const ALL_TYPES: string;
/** The picture type that a file claims, by the browser's word or else by its name; none: it is no picture. */
export declare function claimedType(file: {
    name: string;
    type: string;
}): string | undefined;
/** Why the service would not take this file, by the codes that it would answer; nothing where it may. */
export declare function refusalCode(file: File, maxBytes: number, acceptedFiles: string | null): string | undefined;
