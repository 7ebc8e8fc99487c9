"""SVG plots, small enough to need no library."""
from xml.sax.saxutils import escape

COLORS = ("#444444", "#999999", "#1f77b4", "#2ca02c", "#d62728", "#ff7f0e", "#9467bd")
WIDTH, LEFT, ROW = 760, 300, 20


def _document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def _text(x, y, text, **more):
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(str(text))}</text>'


def _line(x1, y1, x2, y2, color="#cccccc", width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"/>'


def intervals(title, groups, limit=None):
    """A point and its interval per row, in percent above or below 0.

    groups: [(heading, [(label, point, low, high)])]; limit: cut the scale there.
    """
    values = [v for _, rows in groups for row in rows for v in row[1:] if v is not None]
    low, high = min(values + [-5]), max(values + [5])
    if limit:
        high = min(high, limit)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    right = WIDTH - 80

    def x(value):
        return LEFT + (min(max(value, low), high) - low) / (high - low) * (right - LEFT)

    height = 60 + ROW * sum(len(rows) + 1 for _, rows in groups)
    parts, y = [_text(10, 22, title, font_size=15)], 50
    for tick in _ticks(low, high):
        parts += [_line(x(tick), 34, x(tick), height - 18, "#333333" if tick == 0 else "#dddddd"),
                  _text(x(tick), height - 4, f"{tick:+g} %" if tick else "0", text_anchor="middle")]
    for heading, rows in groups:
        parts.append(_text(10, y, heading, font_weight="bold"))
        y += ROW
        for number, (label, point, below, above) in enumerate(rows):
            color = COLORS[(number + 1) % len(COLORS)]
            parts.append(_text(24, y, label))
            if point is not None:
                if below is not None:
                    parts.append(_line(x(below), y - 4, x(above), y - 4, color, 2))
                parts += [f'<circle cx="{x(point):.1f}" cy="{y - 4}" r="4" fill="{color}"/>',
                          _text(right + 8, y, f"{point:+.1f} %", fill=color)]
            y += ROW
    return _document(WIDTH, height, parts)


def _ticks(low, high):
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10 ** 9) if (high - low) / s <= 10)
    first = int(low // step) * step
    return [first + step * i for i in range(12) if low <= first + step * i <= high]


def distribution(title, series, unit="ms"):
    """Cumulative distributions with a logarithmic scale.  series: [(label, sorted values)]"""
    import math
    series = [(label, values) for label, values in series if values]
    low = math.log10(min(v[0] for _, v in series))
    high = math.log10(max(v[-1] for _, v in series))
    left, right, top, bottom = 50, WIDTH - 20, 40, 360

    def x(value):
        return left + (math.log10(value) - low) / (high - low or 1) * (right - left)

    parts = [_text(10, 22, title, font_size=15)]
    for share in (0, 0.25, 0.5, 0.75, 0.95, 1):
        y = bottom - share * (bottom - top)
        parts += [_line(left, y, right, y, "#dddddd"), _text(left - 6, y + 4, f"{share * 100:g} %", text_anchor="end")]
    for exponent in range(math.floor(low), math.ceil(high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0 ** exponent
            if low <= math.log10(value) <= high:
                parts += [_line(x(value), top, x(value), bottom, "#dddddd"),
                          _text(x(value), bottom + 16, f"{value:g} {unit}", text_anchor="middle")]
    for number, (label, values) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        step = max(1, len(values) // 400)
        points = [(x(values[i]), bottom - (i + 1) / len(values) * (bottom - top)) for i in range(0, len(values), step)]
        parts.append('<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>' % (
            color, " ".join(f"{a:.1f},{b:.1f}" for a, b in points)))
        parts.append(_text(left + 10, bottom + 36 + 16 * number, label, fill=color))
    return _document(WIDTH, bottom + 44 + 16 * len(series), parts)


def curves(title, x_unit, y_unit, series):
    """Lines over a linear and a logarithmic scale.  series: [(label, dashed, [(x, y)])]; two of one label have one color."""
    import math
    series = [(label, dashed, [(x, y) for x, y in points if y]) for label, dashed, points in series]
    series = [one for one in series if one[2]]
    xs, ys = [x for _, _, points in series for x, _ in points], [y for _, _, points in series for _, y in points]
    low, high = math.log10(min(ys)), math.log10(max(ys))
    left, right, top, bottom = 60, WIDTH - 20, 40, 360

    def at(x, y):
        return (left + x / max(xs) * (right - left) * 0.97,
                bottom - (math.log10(y) - low) / (high - low or 1) * (bottom - top))

    parts, labels = [_text(10, 22, title, font_size=15)], []
    for exponent in range(math.floor(low), math.ceil(high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0 ** exponent
            if low <= math.log10(value) <= high:
                y = at(0, value)[1]
                parts += [_line(left, y, right, y, "#dddddd"), _text(left - 6, y + 4, f"{value:g} {y_unit}", text_anchor="end")]
    for value in sorted(set(xs)):
        parts += [_line(at(value, 1)[0], top, at(value, 1)[0], bottom, "#dddddd"),
                  _text(at(value, 1)[0], bottom + 16, f"{value:.0f} {x_unit}", text_anchor="middle")]
    for label, dashed, points in series:
        if label not in labels:
            labels.append(label)
            parts.append(_text(left + 10, bottom + 36 + 16 * len(labels), label, fill=COLORS[len(labels) * 2 % len(COLORS)]))
        color = COLORS[(labels.index(label) + 1) * 2 % len(COLORS)]
        placed = [at(x, y) for x, y in points]
        parts.append('<polyline fill="none" stroke="%s" stroke-width="1.5"%s points="%s"/>' % (
            color, ' stroke-dasharray="5 4"' if dashed else "", " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in placed]
    return _document(WIDTH, bottom + 56 + 16 * len(labels), parts)
