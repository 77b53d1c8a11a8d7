import ButtonDropdown, { type ButtonDropdownProps } from "@cloudscape-design/components/button-dropdown";
import { useState } from "react";
import { useI18n } from "../i18n";
import { recall, remember } from "./prefs";

// View is how somebody wants to see a table.
export type View = { hidden: readonly string[]; pageSize: number; wrap: boolean; sort?: { id: string; descending: boolean } };

const sizes = [10, 25, 50, 100];
const least: View = { hidden: [], pageSize: 25, wrap: true };

// useView is the view of a table that is remembered under its name.
export function useView(name: string, by: Partial<View> = {}): [View, (change: Partial<View>) => void] {
  const [view, set] = useState<View>(() => {
    const r = recall(name);
    const sort = r.sort as { id?: unknown; descending?: unknown } | undefined;
    return {
      hidden: Array.isArray(r.hidden) ? r.hidden.filter((x) => typeof x === "string") : (by.hidden ?? least.hidden),
      pageSize: sizes.includes(r.pageSize as number) ? (r.pageSize as number) : (by.pageSize ?? least.pageSize),
      wrap: typeof r.wrap === "boolean" ? r.wrap : (by.wrap ?? least.wrap),
      sort: sort && typeof sort.id === "string" ? { id: sort.id, descending: sort.descending === true } : by.sort,
    };
  });
  return [
    view,
    (change) => {
      remember(name, change);
      set((v) => ({ ...v, ...change }));
    },
  ];
}

type Props = { columns: readonly { id?: string; header?: React.ReactNode }[]; view: View; onChange: (change: Partial<View>) => void; paged?: boolean };

// Preferences chooses columns, and rows of a page. The first column says what a row is about, and stays.
export default function Preferences({ columns, view, onChange, paged = true }: Props) {
  const { t } = useI18n();
  const check = (id: string, text: string, checked: boolean, disabled = false) => ({ itemType: "checkbox" as const, id, text, checked, disabled });
  const items: ButtonDropdownProps.ItemOrGroup[] = [
    { text: t("columns"), items: columns.map((c, i) => check("column:" + c.id, String(c.header), !view.hidden.includes(c.id!), i === 0)) },
    ...(paged
      ? [
          { text: t("rowsPerPage"), items: sizes.map((n) => check("size:" + n, String(n), view.pageSize === n)) },
          { text: t("lines"), items: [check("wrap", t("wrapLines"), view.wrap)] },
        ]
      : []),
  ];
  return (
    <ButtonDropdown
      items={items}
      onItemClick={(e) => {
        const [what, id] = e.detail.id.split(":");
        if (what === "wrap") onChange({ wrap: !view.wrap });
        else if (what === "size") onChange({ pageSize: Number(id) });
        else onChange({ hidden: view.hidden.includes(id!) ? view.hidden.filter((x) => x !== id) : [...view.hidden, id!] });
      }}
    >
      {t("view")}
    </ButtonDropdown>
  );
}
