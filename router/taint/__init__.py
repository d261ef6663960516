"""What stays sensitive although no detector sees it: answers to sensitive requests, remembered as keyed digests."""
