// Parts whose code comes when it is needed.
import { useEffect, useState, type ComponentType, type FunctionComponent, type ReactNode } from "react";

type Later<P> = FunctionComponent<P> & { come: () => Promise<void> }; // come: fetch it before it is drawn

// later is a component that is loaded when it is first drawn; meanwhile is shown until then.
// React.lazy is not used, because of its Suspense: once a spinner was shown, React holds back
// whatever comes in the next 300 ms, so that a page with parts in parts waits a second for nothing.
export default function later<P extends object>(load: () => Promise<{ default: ComponentType<P> }>, meanwhile: ReactNode = null): Later<P> {
  let Here: ComponentType<P> | undefined;
  let coming: Promise<void> | undefined;
  const come = () =>
    (coming ??= load().then(
      (m) => void (Here = m.default),
      (e) => {
        coming = undefined; // asked again, it may come
        throw e;
      },
    ));
  const Part = (p: P) => {
    const [loading] = useState(() => {
      if (Here) return undefined;
      const c = come();
      c.catch(() => {}); // told below
      return c;
    });
    const [, draw] = useState(false);
    const [failed, fail] = useState<unknown>();
    useEffect(() => {
      let live = true;
      loading?.then(
        () => live && draw(true),
        (e) => live && fail(e),
      );
      return () => void (live = false);
    }, [loading]);
    if (failed !== undefined) throw failed; // the Boundary's
    return Here ? <Here {...p} /> : meanwhile;
  };
  return Object.assign(Part, { come });
}
