.PHONY: serve test check
serve test check:
	@echo "set-up is being written"; false
