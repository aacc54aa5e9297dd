"""Labels: who said what a picture shows, when and why; what to ask next; the page to answer on."""
