import "./shares.css";
import { useI18n } from "../i18n";
import type { Share } from "../model/inference";

// RegionStrip shows where calls came from and where they were answered. all are the Regions that
// could have, those that did not included.
export default function RegionStrip({ source, shares, all = [], denied = 0 }: { source: string; shares: Share[]; all?: string[]; denied?: number }) {
  const { t } = useI18n();
  const total = shares.reduce((n, s) => n + s.calls, 0);
  const rest = all.filter((r) => !shares.some((s) => s.region === r));
  return (
    <div className="rstrip">
      <div className="rcell source">
        <span>{t("sourceRegion")}</span>
        <b>{source}</b>
      </div>
      <span className="rarrow" aria-hidden="true">
        →
      </span>
      {shares.map((s) => (
        <div className="rcell ok" key={s.region}>
          <b>{s.region}</b>
          <span>{t("sharePercent", { p: Math.round((100 * s.calls) / total), n: s.calls })}</span>
          {s.tokens > 0 && <span>{t("tokensShort", { n: s.tokens })}</span>}
        </div>
      ))}
      {rest.map((r) => (
        <div className="rcell" key={r}>
          <b>{r || t("anyRegion")}</b>
          <span>{t("callsN", { n: 0 })}</span>
        </div>
      ))}
      {denied > 0 && (
        <div className="rcell bad">
          <b>{t("deniedN", { n: denied })}</b>
        </div>
      )}
      {total === 0 && rest.length === 0 && denied === 0 && <div className="rcell">{t("noInference")}</div>}
    </div>
  );
}

// Meter is the cell of a share; out marks a Region that should have none.
export const Meter = ({ percent, out = false }: { percent: number; out?: boolean }) => (
  <td className="w">
    <span className={out ? "meter out" : "meter"}>{percent > 0 && <i style={{ width: `${percent}%` }} />}</span>
    {percent}%
  </td>
);
