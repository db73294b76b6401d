"""One page a file; each has one public function `page`."""
