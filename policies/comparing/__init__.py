"""What a policy reaches and how two of them differ, proved from the files alone."""
