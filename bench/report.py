"""Turns measurements into medians, ratios, Markdown and a chart. Pure, but for update_readme()."""

import statistics
from xml.sax.saxutils import escape

CPU_UNIT = "messages per broker-CPU-second"

# Per kind one figure or several: the number that is compared, whether more is better, and the further columns. `part`
# is added to the scenario's name; "compared": False has no ratio to the baseline, because that does something else.
FIGURES = {
    "load": [{"key": "per_broker_cpu_second", "more_is_better": True, "unit": CPU_UNIT,
              "more": [("per_second", "messages/s"), ("latency_p50_us", "p50 us"), ("latency_p99_us", "p99 us")]}],
    "retained": [{"key": "read_per_broker_cpu_second", "more_is_better": True, "unit": CPU_UNIT,
                  "more": [("read_per_second", "messages/s")]}],
    "offline": [{"key": f"{part}_per_broker_cpu_second", "part": f", {part}", "more_is_better": True, "unit": CPU_UNIT,
                 "more": [(f"{part}_per_second", "messages/s")]} for part in ("queued", "drained")],
    "durable": [{"key": "acknowledged_per_second", "more_is_better": True, "unit": "messages acknowledged per second",
                 "compared": False,
                 "more": [("acknowledged_p50_us", "p50 us"), ("acknowledged_p99_us", "p99 us"),
                          ("commits_per_second", "commits/s"), ("acknowledged_per_commit", "messages per commit")]}],
    "connect": [{"key": "broker_cpu_us_each", "more_is_better": False, "unit": "broker CPU us per connection",
                 "more": [("per_second", "connections/s")]}],
    "idle": [{"key": "bytes_each", "more_is_better": False, "unit": "resident bytes per connection", "more": []}],
}
BEGIN = "<!-- results: written by ./dev bench --update-readme, not by hand -->"
END = "<!-- end of results -->"


def number(value):
    return "-" if value is None else f"{value:,.0f}"


def one_line(kind, result):
    if "failed" in result:
        return "FAILED: " + result["failed"]
    parts = []
    for figure in FIGURES[kind]:
        columns = [(figure["key"], figure["unit"] + figure.get("part", "")), *figure["more"]]
        parts += [f"{number(result[key])} {label}" for key, label in columns if key in result]
    return ", ".join(parts)


def median(runs, key):
    """None as soon as one run failed: a broker that loses messages has no speed. None, too, where nothing is told."""
    if any("failed" in r or key not in r for r in runs):
        return None
    return statistics.median(r[key] for r in runs)


def ratio_of(mine, baseline):
    return mine / baseline if mine and baseline and mine > 0 and baseline > 0 else None


def rows_of(figure, measured, baseline):
    base = median(measured[baseline], figure["key"]) if baseline in measured and figure.get("compared", True) else None
    for broker, runs in measured.items():
        value = median(runs, figure["key"])
        yield {"broker": broker, "figure": value, "ratio": ratio_of(value, base),
               "more": [median(runs, key) for key, _ in figure["more"]],
               "failed": next((r["failed"] for r in runs if "failed" in r), None)}


def summarise(scenarios, baseline, results):
    """One entry per scenario and figure: {"name", "kind", "what", "baseline", "rows"}, `what` being the figure."""
    return [{"name": scenario["name"] + figure.get("part", ""), "kind": scenario["kind"], "what": figure,
             "baseline": baseline, "rows": list(rows_of(figure, results[scenario["name"]], baseline))}
            for scenario in scenarios for figure in FIGURES[scenario["kind"]]]


def facts_lines(facts):
    lines = [f"Machine: {facts['machine']}; load average {facts['load']} before the run.",
             f"Disk: {facts['disk']}.",
             f"Measured {facts['date']} at commit {facts['commit']}; {facts['method']}; medians."]
    return lines + [f"{name}: {version}" for name, version in facts["brokers"].items()]


def table(entries):
    figure = entries[0]["what"]
    better = "more" if figure["more_is_better"] else "less"
    heads = ["scenario", "broker", f"{figure['unit']} ({better} is better)", f"to {entries[0]['baseline']}"]
    heads += [label for _, label in figure["more"]]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 2 + "---:|" * (len(heads) - 2)]
    for entry in entries:
        for row in entry["rows"]:
            if row["failed"]:
                cells = ["failed: " + row["failed"].replace("|", "/").replace("\n", " "), "-"]
                cells += ["-"] * len(figure["more"])
            else:
                ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}x"
                cells = [number(row["figure"]), ratio, *(number(v) for v in row["more"])]
            lines.append("| " + " | ".join([entry["name"], row["broker"], *cells]) + " |")
    return lines


def markdown(facts, summary):
    lines = []
    for fact in facts_lines(facts):
        lines += ["- " + fact]
    for kind in FIGURES:
        entries = [e for e in summary if e["kind"] == kind]
        if entries:
            lines += ["", *table(entries)]
    return "\n".join(lines) + "\n"


def svg(summary):
    """Bars of the ratio to the baseline, 1 per broker and scenario, turned so that a longer bar is better."""
    bars = []
    for entry in summary:
        for row in entry["rows"]:
            if row["ratio"] and row["broker"] != entry["baseline"]:
                better = row["ratio"] if entry["what"]["more_is_better"] else 1 / row["ratio"]
                bars.append((entry["name"], row["broker"], better))
    label_width, bar_width, line, top = 460, 420, 22, 44
    longest = max([better for _, _, better in bars] + [1.0])
    scale = bar_width / longest
    height = top + line * len(bars) + 16
    baseline = summary[0]["baseline"] if summary else ""
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{label_width + bar_width + 80}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="8" y="20" font-size="14">'
           f'How many times better than {escape(str(baseline))} (per broker CPU, or memory); the line is 1</text>']
    for i, (scenario, broker, better) in enumerate(bars):
        y = top + line * i
        out.append(f'<text x="{label_width - 8}" y="{y + 13}" text-anchor="end">'
                   f'{escape(scenario)} ({escape(broker)})</text>'
                   f'<rect x="{label_width}" y="{y}" width="{better * scale:.1f}" height="{line - 6}" fill="#3a6ea5"/>'
                   f'<text x="{label_width + better * scale + 6:.1f}" y="{y + 13}">{better:.2f}x</text>')
    x = label_width + scale
    out.append(f'<line x1="{x:.1f}" y1="{top - 8}" x2="{x:.1f}" y2="{height - 12}" stroke="#c33" stroke-width="1"/></svg>')
    return "\n".join(out) + "\n"


def update_readme(path, results):
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    picture = "![ratios to the baseline](results.svg)\n"
    path.write_text(f"{before}{BEGIN}\n\n{results}\n{picture}\n{END}{after}")
