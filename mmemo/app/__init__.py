"""The app: a page to drop a clip on, a live view of the camera, and an HTTP endpoint, on this machine only."""
