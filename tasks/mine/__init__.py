"""Mining mathematics out of Common Crawl, as DeepSeekMath did."""
