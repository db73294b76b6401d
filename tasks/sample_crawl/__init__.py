"""A generated crawl of three months with its truth: small enough for tests, with everything that makes mining hard."""

from tasks.sample_crawl.generate import SampleCrawl, SampleCrawlConfig, generate

__all__ = ["SampleCrawl", "SampleCrawlConfig", "generate"]
