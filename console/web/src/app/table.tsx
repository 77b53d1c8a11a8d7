import type { ReactNode } from "react";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Button from "@cloudscape-design/components/button";
import Pagination from "@cloudscape-design/components/pagination";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useI18n, type Key } from "../i18n";
import { Empty } from "./parts";

// Narrower columns are no longer read, but spelled: on a phone a table is moved sideways instead.
const narrowest = 110;

export type ListProps<T> = {
  items: readonly T[];
  columns: TableProps.ColumnDefinition<T>[];
  header: ReactNode;
  find: Key | { text: string }; // what the search field says
  empty: ReactNode;
  trackBy: (t: T) => string;
  label: string;
  loading?: boolean;
  pageSize?: number;
  sort?: { id: string; descending?: boolean };
  selected?: T[];
  onSelect?: (t: T) => void;
  filter?: ReactNode; // instead of the text filter
  besides?: ReactNode; // fields under the text filter
  variant?: TableProps.Variant;
  text?: (t: T) => string; // what the filter looks into; all fields otherwise
};

// List is a table that can be searched, sorted and paged through.
export default function List<T>(p: ListProps<T>) {
  const { t } = useI18n();
  const find = typeof p.find === "string" ? t(p.find) : p.find.text;
  const sorted = p.sort && p.columns.find((c) => c.id === p.sort!.id);
  const { items, actions, collectionProps, filterProps, paginationProps, filteredItemsCount } = useCollection(p.items, {
    filtering: {
      empty: p.empty,
      noMatch: (
        <Empty title={t("noMatches")}>
          <Button onClick={() => actions.setFiltering("")}>{t("clearFilter")}</Button>
        </Empty>
      ),
      filteringFunction: p.text && ((item, text) => p.text!(item).toLowerCase().includes(text.toLowerCase())),
    },
    sorting: sorted ? { defaultState: { sortingColumn: sorted as never, isDescending: p.sort!.descending } } : {},
    pagination: { pageSize: p.pageSize ?? 25 },
  });
  return (
    <Table
      {...collectionProps}
      items={items}
      columnDefinitions={p.columns.map((c) => ({ minWidth: narrowest, ...c }))}
      header={p.header}
      trackBy={p.trackBy}
      variant={p.variant}
      loading={p.loading && p.items.length === 0}
      loadingText={t("loading")}
      selectionType={p.onSelect ? "single" : undefined}
      selectedItems={p.selected}
      onSelectionChange={(e) => e.detail.selectedItems[0] && p.onSelect?.(e.detail.selectedItems[0])}
      onRowClick={(e) => p.onSelect?.(e.detail.item)}
      ariaLabels={{ tableLabel: p.label, selectionGroupLabel: p.label, itemSelectionLabel: (_, item) => p.trackBy(item) }}
      enableKeyboardNavigation
      filter={
        p.filter ?? (
          <>
            <TextFilter {...filterProps} filteringPlaceholder={find} filteringAriaLabel={find} countText={t("matchesN", { n: filteredItemsCount ?? 0 })} />
            {p.besides && <div className="fields besides">{p.besides}</div>}
          </>
        )
      }
      pagination={<Pagination {...paginationProps} />}
      wrapLines
    />
  );
}
