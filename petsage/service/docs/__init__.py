"""What people read: the OpenAPI document served, Swagger UI, the reading view, the welcome page."""
