// Small parts that every page uses.
import { Component, createContext, useContext, useState, type ComponentType, type ReactNode } from "react";
import { useLocation } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link, { type LinkProps } from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { useI18n, type Key, type T } from "../i18n";
import { current } from "../aws/session";
import { denied } from "../model/inference";
import { base, param, to } from "./paths";

export { base, param, to };

export function Go({ href, children, external = false, size }: { href: string; children: ReactNode; external?: boolean; size?: LinkProps["fontSize"] }) {
  const [, go] = useLocation();
  return (
    <Link
      href={external ? href : base + href}
      external={external}
      fontSize={size}
      onFollow={(e) => {
        if (external) return;
        e.preventDefault();
        go(href);
      }}
    >
      {children}
    </Link>
  );
}

// Copy copies text; where a page may not reach the clipboard (plain http from afar), by a selection.
export function Copy({ text, label }: { text: string; label?: string }) {
  const { t } = useI18n();
  const [said, say] = useState<"" | "copied" | "copyFailed">("");
  const copy = async () => {
    let ok = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      ok = document.execCommand("copy");
      area.remove();
    }
    say(ok ? "copied" : "copyFailed");
    setTimeout(() => say(""), 2000);
  };
  return (
    <span className="copy">
      <Button variant={label ? "normal" : "inline-icon"} iconName="copy" ariaLabel={label ?? `${t("copy")}: ${text.slice(0, 120)}`} onClick={() => void copy()}>
        {label}
      </Button>
      {said && <StatusIndicator type={said === "copied" ? "success" : "error"}>{t(said)}</StatusIndicator>}
    </span>
  );
}

export const Arn = ({ arn }: { arn: string | undefined }) =>
  arn ? (
    <span className="arn name">
      <Copy text={arn} /> {arn}
    </span>
  ) : (
    <>–</>
  );

// Ids are names to copy, each on a line of its own: they are too long for a column.
export const Ids = ({ items }: { items: readonly (readonly [label: string, id: string | undefined, href?: string])[] }) => (
  <dl className="ids">
    {items.map(([label, id, href]) => (
      <div key={label}>
        <dt>{label}</dt>
        <dd className="arn">
          {id && <Copy text={id} />} {id && href ? <Go href={href}>{id}</Go> : (id ?? "–")}
        </dd>
      </div>
    ))}
  </dl>
);

export const Code = ({ text }: { text: string }) => (
  <pre className="payload mono" tabIndex={0}>
    {text}
  </pre>
);

export const Command = ({ text }: { text: string }) => (
  <span className="command">
    <Box variant="code">{text}</Box>
    <Copy text={text} />
  </span>
);

// pretty is a document with its lines broken, as it came where it is no JSON.
export function pretty(text: string | undefined): string {
  if (text === undefined) return "";
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function duration(from: Date | undefined, till: Date | undefined, t: T): string {
  if (!from) return "–";
  const ms = (till ?? new Date()).getTime() - from.getTime();
  return ms >= 60_000 ? t("minutes", { m: Math.floor(ms / 60_000), s: Math.round((ms % 60_000) / 1000) }) : t("seconds", { s: (ms / 1000).toFixed(ms < 10_000 ? 2 : 1) });
}

const shown: Record<string, [StatusIndicatorProps.Type, Key]> = {
  RUNNING: ["in-progress", "stRunning"],
  SUCCEEDED: ["success", "stSucceeded"],
  FAILED: ["error", "stFailed"],
  ABORTED: ["stopped", "stAborted"],
  TIMED_OUT: ["error", "stTimedOut"],
  PENDING_REDRIVE: ["pending", "stPendingRedrive"],
  CAUGHT: ["warning", "stCaught"],
};

// statusText is a status in words.
export const statusText = (status: string, t: T) => {
  const s = shown[status.toUpperCase()];
  return s ? t(s[1]) : status;
};

export function Status({ status }: { status: string | undefined }) {
  const { t } = useI18n();
  const s = shown[(status ?? "").toUpperCase()];
  return s ? <StatusIndicator type={s[0]}>{t(s[1])}</StatusIndicator> : <>{status ?? "–"}</>;
}

export type WhyProps = {
  message: string;
  requestId?: string;
  // of the execution that was refused, so that it can go on once the policy is mended
  executionArn?: string;
  onRedriven?: () => void;
};

// Explains is what explains a refusal, and mends it: the app's, since it is made of these parts.
export const Explains = createContext<ComponentType<WhyProps & { onDismiss: () => void }> | null>(null);

// WhyButton is where a denial is shown. With an execution it offers to let that go on afterwards.
export function WhyButton(p: WhyProps) {
  const { t } = useI18n();
  const Why = useContext(Explains);
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button wrapText={false} onClick={() => setOpen(true)}>{t("why")}</Button>
      {open && Why && <Why {...p} onDismiss={() => setOpen(false)} />}
    </>
  );
}

// hintOf is what one can do about an error, where its kind tells.
export function hintOf(e: Error & { $fault?: string; $metadata?: { httpStatusCode?: number } }): Key | undefined {
  if (e.name === "TypeError" && /fetch|network|load failed/i.test(e.message)) return "hintNoAnswer";
  if (/Throttl|TooManyRequests|SlowDown/.test(e.name)) return "hintThrottled";
  if (/DoesNotExist|NotFound|NoSuchEntity/.test(e.name)) return "hintGone";
  if (/^(Validation|InvalidDefinition|MalformedPolicy)/.test(e.name)) return "hintInvalid";
  if (e.$fault === "server" || (e.$metadata?.httpStatusCode ?? 0) >= 500) return "hintServer";
  return undefined;
}

// Problem shows an error of a call: what it was, and what to do.
// plain is without "Why?", inside of what explains.
export function Problem({ error, retry, plain = false }: { error: unknown; retry?: () => void; plain?: boolean }) {
  const { t } = useI18n();
  if (!error) return null;
  const e = error as Error & { $metadata?: { requestId?: string; httpStatusCode?: number } };
  const id = e.$metadata?.requestId;
  const hint = hintOf(e);
  return (
    <Alert
      type="error"
      header={hint === "hintNoAnswer" ? t("noAnswer") : e.name && e.name !== "Error" ? e.name : t("errorTitle")}
      action={
        <SpaceBetween direction="horizontal" size="xs">
          {!plain && denied(e.name) && <WhyButton message={e.message} requestId={id} />}
          {retry && <Button onClick={retry}>{t("retry")}</Button>}
        </SpaceBetween>
      }
    >
      <span className="arn">{e.message}</span>
      {hint && <div>{t(hint, { region: current().region, origin: location.origin })}</div>}
      {id && (
        <Box fontSize="body-s" color="text-body-secondary">
          {t("requestId")}: {id}
        </Box>
      )}
    </Alert>
  );
}

export function Empty({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <Box textAlign="center" padding="l">
      <SpaceBetween size="s" alignItems="center">
        <b>{title}</b>
        {children}
      </SpaceBetween>
    </Box>
  );
}

// Boundary keeps a page that fails from taking the rest with it.
export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  render() {
    return this.state.error ? <Problem error={this.state.error} retry={() => this.setState({ error: undefined })} /> : this.props.children;
  }
}
