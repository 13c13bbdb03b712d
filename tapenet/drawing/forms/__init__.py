"""What a drawing becomes: DOT, SVG, PNG, PDF, a page, a lecture, a flowchart, data."""
