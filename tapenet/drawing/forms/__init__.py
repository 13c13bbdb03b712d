"""The forms that a drawing is written in: DOT, SVG, PNG, PDF, a page, a lecture, a flowchart, data."""
