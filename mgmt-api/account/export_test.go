package account

// CheckHash reads a stored hash.
func CheckHash(text string) error {
	h, err := parseHash(text)
	if err == nil && (h.memory > maxMemoryKiB || h.passes > maxPasses || h.lanes == 0 || len(h.key) > maxKeyBytes) {
		panic("a hash that costs too much")
	}
	return err
}
