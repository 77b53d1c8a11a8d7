import "./shares.css";
import { useI18n } from "../i18n";
import { regionName } from "../model/regions";
import type { Flow, Traffic } from "../model/profile";

const ROW = 88; // px between two Regions of a column
const WIDE = 120; // units across, whatever that is in px

type Props = {
  sources: readonly string[]; // in which calls are made
  flows: readonly Flow[]; // from each of them
  total: readonly Traffic[]; // of all of them, by Region that answered
  all?: readonly string[]; // Regions that may answer; "" stands for any
  denied?: Record<string, number>; // calls that were refused, by source
};

// RegionMap shows from where calls come and where they are answered: how much of them, how fast,
// and with which errors. All of it is text; the lines only repeat it.
export default function RegionMap({ sources, flows, total, all = [], denied = {} }: Props) {
  const { t, locale, number } = useI18n();
  const calls = total.reduce((n, x) => n + x.calls, 0);
  const right: Traffic[] = [...total, ...all.filter((r) => !total.some((x) => x.region === r)).map((region) => ({ region, calls: 0, errors: 0, passed: 0, tokens: 0 }))];
  const tall = Math.max(sources.length, right.length, 1) * ROW;
  const middle = (i: number, n: number) => (tall / n) * (i + 0.5);
  const name = (r: string) => regionName(r, locale);
  const lines = sources.flatMap((s, i) =>
    right.map((x, j) => {
      const f = flows.find((f) => f.source === s && f.region === x.region);
      const a = middle(i, sources.length);
      const b = middle(j, right.length);
      const share = calls && f ? f.calls / calls : 0;
      return { key: s + " " + x.region, d: `M0 ${a} C ${WIDE / 2} ${a}, ${WIDE / 2} ${b}, ${WIDE} ${b}`, width: share ? 2 + 14 * share : 1, kind: share ? "some" : f && f.errors > 0 ? "bad" : "none" };
    }),
  );
  return (
    <div className="rmap">
      <ul className="rside" aria-label={t("sourceRegion")} style={{ height: tall }}>
        {sources.map((s) => {
          const own = flows.filter((f) => f.source === s).reduce((n, f) => n + f.calls, 0);
          return (
            <li key={s}>
              <div className="rcell source">
                <span>{t("sourceRegion")}</span>
                <div className="rwhere">
                  <b>{s}</b>
                  {name(s) && <span>{name(s)}</span>}
                </div>
                <span>
                  {t("callsN", { n: number(own) })}
                  {denied[s] ? <span className="bad-text"> · {t("deniedN", { n: number(denied[s]) })}</span> : null}
                </span>
              </div>
            </li>
          );
        })}
      </ul>
      <svg className="rlines" viewBox={`0 0 ${WIDE} ${tall}`} preserveAspectRatio="none" style={{ height: tall }} aria-hidden="true">
        {lines.map((l) => (
          <path key={l.key} d={l.d} className={l.kind} strokeWidth={l.width} vectorEffect="non-scaling-stroke" />
        ))}
      </svg>
      <ul className="rside to" aria-label={t("destinations")} style={{ height: tall }}>
        {right.map((x) => {
          const p = calls ? Math.round((100 * x.calls) / calls) : 0;
          return (
            <li key={x.region}>
              <div className={`rcell ${x.calls > 0 ? "ok" : x.errors > 0 ? "bad" : ""}`}>
                <div className="rwhere">
                  <b>{x.region || t("anyOther")}</b>
                  {name(x.region) && <span>{name(x.region)}</span>}
                </div>
                <div className="rshare">
                  <span className="meter" aria-hidden="true">
                    {p > 0 && <i style={{ width: `${p}%` }} />}
                  </span>
                  <b>{p}%</b>
                </div>
                <div className="rfacts">
                  <span>{t("callsN", { n: number(x.calls) })}</span>
                  {x.latency !== undefined && <span>{t("medianMs", { n: number(x.latency) })}</span>}
                  <span className={x.errors > 0 ? "bad-text" : undefined}>{t("errorsN", { n: number(x.errors) })}</span>
                  {x.passed > 0 && <span>{t("passedN", { n: number(x.passed) })}</span>}
                  {x.tokens > 0 && <span>{t("tokensShort", { n: number(x.tokens) })}</span>}
                </div>
              </div>
            </li>
          );
        })}
        {right.length === 0 && (
          <li>
            <div className="rcell">{t("noInference")}</div>
          </li>
        )}
      </ul>
    </div>
  );
}

// Meter is the cell of a share; out marks a Region that should have none.
export const Meter = ({ percent, out = false }: { percent: number; out?: boolean }) => (
  <td className="w">
    <div className="rshare">
      <span className={out ? "meter out" : "meter"}>{percent > 0 && <i style={{ width: `${percent}%` }} />}</span>
      <span>{percent}%</span>
    </div>
  </td>
);
