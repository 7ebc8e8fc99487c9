#include "query/attributes.h"

#include <stdlib.h>

#include <jansson.h>

int64_t fp_attribute_number(const char *attributes, const char *key, int64_t otherwise)
{
	json_t *object = attributes ? json_loads(attributes, 0, NULL) : NULL;
	const json_t *value = json_object_get(object, key);
	int64_t number = otherwise;

	if (json_is_integer(value))
		number = json_integer_value(value);
	else if (json_is_string(value))
		number = strtoll(json_string_value(value), NULL, 10);
	json_decref(object);
	return number;
}

bool fp_attribute_text(const char *attributes, const char *key, struct fp_buffer *buffer)
{
	json_t *object = attributes ? json_loads(attributes, 0, NULL) : NULL;
	const json_t *value = json_object_get(object, key);
	bool any = false;

	if (json_is_string(value)) {
		any = json_string_length(value) > 0;
		fp_buffer_add_text(buffer, json_string_value(value));
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (!text)
			continue;
		fp_buffer_add_format(buffer, "%s%s", any ? " " : "", text);
		any = true;
	}
	json_decref(object);
	return any;
}
