// Where the build lies: CARGO_TARGET_DIR, or target in the repository.
import { isAbsolute, join } from "node:path";

export const root = join(import.meta.dirname, "..");
const wished = process.env.CARGO_TARGET_DIR ?? "target";
export const target = isAbsolute(wished) ? wished : join(root, wished);
